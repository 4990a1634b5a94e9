/* The handshake and the descriptors that travel in it (handshake.h, dial.cc, acceptor.cc, shm_transport.cc), for Spin.

   A client that wants a ring, and can do without, meets a server that offers both. Either may find no memory for its
   offer, be at its limit of descriptors, be unable to map what came, be killed or be stopped for ever, at any moment.

   It must hold: in the end every process that lives has a session with a peer that has one, with exactly the descriptors
   of that session, or has nothing; nobody waits for ever. A run with one of the macros WITHOUT_... leaves one step out,
   and must fail. tests/models runs them all. */

/* What a process has open of: sockets, segments, ends of doorbells. */
typedef Process {
  byte sockets, segments, ends;
  bool session, killed, stopped;
  bool at_rest /* only the other side can move it */
};
Process client, server;
#define GONE(process) (process.sockets == 0 || process.killed) /* its end of the socket is closed */
#define CLEAN(process) (process.sockets == 0 && process.segments == 0 && process.ends == 0)
#define SESSION_OF(process, r) \
  (process.sockets == 1 && process.segments == 0 && process.ends == (r -> 2 : 0)) /* its own bell and the other's */

/* Messages: whether a ring is meant, and the pairs of descriptors (segment and bell) that come along. */
mtype = {HELLO, WELCOME, REFUSAL};
chan to_server = [1] of {mtype, bool, byte};
chan to_client = [1] of {mtype, bool, byte};
bool ring; /* what was agreed on */

#define CLOSE_ALL(process) process.sockets = 0; process.segments = 0; process.ends = 0; process.session = false

/* MakeOffer: a segment, both ends of a bell; or there is no memory, and nothing is kept. */
inline make_offer(process, made) {
  if
  :: atomic { process.segments++; process.ends = process.ends + 2; made = true }
  :: made = false
  fi
}
/* recvmsg: `came` pairs; at the limit of descriptors only the first of each arrives, and the message is no good. */
inline receive_fds(process, came, good) {
  if
  :: atomic { process.segments = process.segments + came; process.ends = process.ends + came; good = true }
  :: atomic { came > 0 -> process.segments++; good = false }
  fi
}
/* RingOffer::Complete, with the peer's segment and bell received. */
inline complete(process, good) {
  if
  :: atomic {
#ifndef WITHOUT_CLOSING_THE_SEGMENT_ONCE_MAPPED
       process.segments--; /* theirs: mapped */
#endif
       good = true /* the bell: opened anew, and what came closed */
     }
  :: good = false
  fi
}

active proctype Client() {
  bool offered, good, with_ring;
  byte came;
  {
    client.sockets = 1;
    make_offer(client, offered);
    to_server ! HELLO, offered, (offered -> 1 : 0);
    if
    :: to_client ? WELCOME, with_ring, came ->
       receive_fds(client, came, good);
       if
       :: !good -> goto failed
       :: good && with_ring ->
          complete(client, good);
          if
          :: good ->
             atomic {
               client.segments--; /* ours: the mapping is enough */
               client.ends = client.ends - 1;
               client.session = true
             }
          :: else -> /* what was agreed on does not work here: once more, without it */
#ifdef WITHOUT_CLOSING_BEFORE_ANOTHER_TRY
             client.sockets = 0;
             goto over
#else
             goto failed /* the second try is one without descriptors */
#endif
          fi
       :: good && !with_ring ->
#ifndef WITHOUT_CLOSING_AN_OFFER_NOT_TAKEN
          atomic { client.segments = 0; client.ends = 0 };
#endif
          client.session = true
       fi
    :: to_client ? REFUSAL, with_ring, came -> goto failed
    :: GONE(server) -> goto failed
#ifndef WITHOUT_THE_CLIENTS_DEADLINE
    :: timeout -> goto failed
#endif
    fi;
    /* The session, until the other side is gone. */
    client.at_rest = true;
  end:
    if
#ifdef WITHOUT_END_OF_FILE
    :: false
#else
    :: GONE(server)
#endif
    fi;
  failed:
    atomic { CLOSE_ALL(client) };
  over:
    skip
  } unless { client.killed || client.stopped };
  if
  :: client.killed -> atomic { CLOSE_ALL(client) }
  :: else
  fi;
  client.at_rest = true
}

active proctype Server() {
  bool offered, good, with_ring;
  byte came;
  {
    server.sockets = 1; /* accept */
    if
    :: to_server ? HELLO, with_ring, came
    :: client.killed && empty(to_server) -> goto failed
#ifndef WITHOUT_THE_SERVERS_DEADLINE
    :: timeout -> goto failed
#endif
    fi;
    receive_fds(server, came, good);
    if
    :: good
    :: !good ->
#ifdef WITHOUT_CLOSING_WHAT_CAME_TRUNCATED
       server.sockets = 0;
       goto over
#else
       goto failed
#endif
    fi;
    if
    :: with_ring ->
       make_offer(server, offered);
       if
       :: offered ->
          complete(server, good);
          if
          :: good -> ring = true
          :: else -> atomic { server.segments = 0; server.ends = 0 }
          fi
       :: else -> atomic { server.segments = 0; server.ends = 0 }
       fi
    :: else
    fi;
    /* The client asked for the socket, too; or it is refused. */
    if
    :: ring -> to_client ! WELCOME, true, 1
    :: !ring -> to_client ! WELCOME, false, 0
    :: !ring -> to_client ! REFUSAL, false, 0; goto failed
    fi;
    atomic {
#ifndef WITHOUT_CLOSING_WHAT_WAS_GIVEN
      if
      :: ring -> server.segments--; server.ends = server.ends - 1
      :: else
      fi;
#endif
      server.session = true
    };
    server.at_rest = true;
  end:
    if
#ifdef WITHOUT_END_OF_FILE
    :: false
#else
    :: GONE(client)
#endif
    fi;
  failed:
    atomic { CLOSE_ALL(server) };
  over:
    skip
  } unless { server.killed || server.stopped };
  if
  :: server.killed -> atomic { CLOSE_ALL(server) }
  :: else
  fi;
  server.at_rest = true
}

active proctype Fate() {
  if
  :: client.killed = true
  :: server.killed = true
  :: client.stopped = true
  :: server.stopped = true
  :: skip
  fi
}

/* What each has when nothing moves any more. */
#define SETTLED(process, other) \
  (process.stopped || CLEAN(process) || (process.session && SESSION_OF(process, ring) && (other.stopped || other.session)))
active proctype Check() {
  timeout && client.at_rest && server.at_rest -> assert(SETTLED(client, server) && SETTLED(server, client))
}
