/* One slot of a client's calls, and the calls that use it one after the other, for Spin: an answer, the caller giving up
   (cancellation or deadline), the server giving up, and the connection's end, in every order (call_table.h,
   client_session.h, server_session.h, server_call.h).

   It must hold: every call ends, once, with what was said to it and not to another one; the poller never touches a call
   that is gone; the server takes every call's memory back once, and not before its handler has done with it; a handler
   whose caller has given up hears of it; nobody waits for ever. A run with one of the macros WITHOUT_... leaves one step
   out, or does it too late, and must fail. tests/models runs them all. */

#define CALLS 2

/* The client's slot. The generation is what makes a call's number another one than its predecessor's. */
mtype = {FREE, WAITING, DELIVERING, DONE, SETTLED, CLOSED};
mtype phase = FREE;
byte generation = 0;
bool exists[CALLS + 1];  /* a call lives on its caller's stack */
byte ends[CALLS + 1];    /* that were delivered to it */
bool patient[CALLS + 1]; /* has no deadline and is not cancelled: only an end wakes its caller */
bool sleeps, woken;      /* its caller */
bool sender_closed;
bool lost; /* the connection is at its end */

/* Frames. The sender's lock makes a request and the sender's end come one after the other. */
chan to_server = [6] of {mtype, byte};
mtype = {REQUEST, CANCEL};
chan to_client = [6] of {byte};

/* The server's side of the slot. */
byte entry = 0;
bool held[CALLS + 1]; /* the session's memory for the call is in use */
bool cancelled[CALLS + 1];
bool answering[CALLS + 1];
byte server_ends[CALLS + 1];
chan ended = [6] of {byte};

/* --- The client --- */

active proctype Caller() {
  byte call = 0;
  bool gave_up;
  do
  :: call == CALLS -> break
  :: else ->
     /* Claim. */
     atomic {
       call++;
       gave_up = false;
       exists[call] = true;
       if
       :: patient[call] = true
       :: skip
       fi;
       assert(phase == FREE);
       generation = call;
       phase = WAITING
     }
     if
     :: atomic { !sender_closed -> to_server ! REQUEST, call }
     :: sender_closed -> goto close
     fi;
     /* Wait, and sleep: WaitSpot. */
     do
     :: phase == DONE || phase == SETTLED -> break
     :: !patient[call] -> break
     :: else ->
        woken = false;
#ifdef WITHOUT_BARRIER_OF_SLEEP
        if
        :: phase == DONE || phase == SETTLED -> break
        :: else
        fi;
        sleeps = true;
#else
        sleeps = true;
        if
        :: phase == DONE || phase == SETTLED -> break
        :: else
        fi;
#endif
        if
        :: woken
        :: !patient[call]
        fi
     od;
     sleeps = false;
   close:
     do
#ifdef WITHOUT_AN_ATOMIC_CLOSE
     :: phase == WAITING -> phase = CLOSED; gave_up = true; break
#else
     :: atomic { phase == WAITING -> phase = CLOSED; gave_up = true; break }
#endif
     :: phase == SETTLED -> break
#ifdef WITHOUT_WAITING_FOR_A_DELIVERY
     :: phase == DELIVERING -> gave_up = true; break
#endif
     od;
     assert(ends[call] == (gave_up -> 0 : 1));
#ifndef WITHOUT_CANCEL
     if
     :: gave_up && !sender_closed -> to_server ! CANCEL, call
     :: else
     fi;
#endif
     atomic { exists[call] = false; phase = FREE } /* Free */
  od
}

/* CallTable::DeliverTo. */
inline deliver(which) {
  delivered = generation;
  assert(exists[delivered]); /* an answer is parsed into it */
  assert(which == 0 || which == delivered);
  ends[delivered]++;
#ifdef WITHOUT_BARRIER_OF_DONE
  asleep = sleeps;
  phase = DONE;
#else
  phase = DONE;
  asleep = sleeps;
#endif
#ifdef WITHOUT_SETTLED
  phase = SETTLED;
#endif
  assert(exists[delivered]); /* its spots are notified */
  if
  :: asleep -> woken = true
  :: else
  fi;
  phase = SETTLED
}

#ifdef WITHOUT_GENERATIONS
#define MEANT(number) true
#else
#define MEANT(number) (generation == number)
#endif

active proctype ClientPoller() {
  byte number, delivered;
  bool asleep;
end:
  do
  :: to_client ? number ->
     if
     :: atomic { phase == WAITING && MEANT(number) -> phase = DELIVERING }; deliver(number)
     :: else /* a call that is over */
     fi
  :: lost && empty(to_client) -> break
  od;
  /* OnClosed: DeliverToAll. */
#ifndef WITHOUT_CLOSING_THE_SENDER_FIRST
  sender_closed = true;
#endif
  if
  :: atomic { phase == WAITING -> phase = DELIVERING }; deliver(0)
  :: else
  fi;
  sender_closed = true
}

/* --- The server --- */

/* One of the two ends of a call: its handler has returned, it was finished; on whichever threads. */
inline end_of(call) {
  assert(held[call]);
#ifdef WITHOUT_THE_SECOND_END
  ended ! call /* the first will do */
#else
  server_ends[call]++;
  if
  :: server_ends[call] == 2 -> ended ! call
  :: else
  fi
#endif
}

proctype Finish(byte call) {
  if
  :: !cancelled[call] ->
#ifndef WITHOUT_ANSWERING_FIRST
     answering[call] = true;
#endif
     to_client ! call;
#ifdef WITHOUT_ANSWERING_FIRST
     answering[call] = true
#endif
  :: else
  fi;
  atomic { end_of(call) }
}

proctype Handler(byte call) {
  if
  :: true                              /* it has its answer at once */
  :: !patient[call] -> cancelled[call] /* it works until nobody waits any more */
  fi;
  atomic {
    run Finish(call); /* perhaps on another thread */
    end_of(call)
  }
}

active proctype ServerPoller() {
  byte call;
  bool failed = false;
end:
  do
  :: atomic { !lost && nempty(to_server) ->
       if
       :: to_server ? REQUEST, call ->
          assert(entry == 0 || answering[entry]); /* otherwise: two calls in one slot, a violation */
          assert(!held[call]);
          entry = call;
          held[call] = true;
          run Handler(call)
       :: to_server ? CANCEL, call ->
          if
          :: entry == call -> entry = 0; cancelled[call] = true
          :: else
          fi
       fi
     }
  :: atomic { entry != 0 && !answering[entry] && !failed -> /* FailCall: the server cancels a call */
       failed = true;
       call = entry;
       entry = 0;
       cancelled[call] = true;
       to_client ! call
     }
#ifndef WITHOUT_CANCELLING_AT_THE_END
  :: atomic { lost && entry != 0 -> cancelled[entry] = true; entry = 0 } /* OnClosed */
#endif
  :: atomic { ended ? call -> /* ReapEnded: Recycle */
       assert(held[call]);
       held[call] = false;
#ifdef WITHOUT_FORGETTING_ONLY_ITSELF
       entry = 0
#else
       if
       :: entry == call -> entry = 0
       :: else
       fi
#endif
     }
  od
}

/* The connection ends at any moment, or never. */
active proctype Network() {
  if
  :: lost = true
  :: skip
  fi
}
