/* How one direction of a ring is written, read, slept on and mourned (shm_wire.h, doorbell.h; docs/SHM.md), for Spin.

   A writer sends FRAMES frames through a ring with room for two; a reader takes them. Each may sleep: the reader until
   there is a frame, the writer until there is room. Processors have store buffers (TSO): a plain store goes into a queue
   that is emptied at any later moment; a read-modify-write waits until its own queue is empty. Either side may be
   killed between any two steps.

   It must hold: what the reader takes are the frames, in order and whole; unless somebody was killed it takes all of
   them; nobody waits for ever. A run with one of the macros WITHOUT_... leaves out one step or one barrier, and must fail.
   tests/models runs them all. */

#define FRAMES 3
#define WORDS 3 /* of the ring; a frame takes one, and the word behind the last frame says "no frame here yet" */
#define ROOM (WORDS - 1)

/* Memory, by address. */
#define SIZE(position) ((position) % WORDS)            /* a frame's first word: its number, from 1; 0: none here */
#define PAYLOAD(position) (WORDS + (position) % WORDS) /* the rest of it */
#define READ_POSITION (2 * WORDS)                      /* the reader's */
#define READER_EPOCH (2 * WORDS + 1)
#define WRITER_EPOCH (2 * WORDS + 2)
#define WANTS_ROOM (2 * WORDS + 3) /* the writer's */
byte memory[2 * WORDS + 4];

/* The processors' store buffers, and what empties them; those of a process that was killed, too. */
chan writer_buffer = [2] of {byte, byte};
chan reader_buffer = [2] of {byte, byte};
active proctype WriterBuffer() {
  byte address, value;
end:
  do :: atomic { writer_buffer ? address, value -> memory[address] = value } od
}
active proctype ReaderBuffer() {
  byte address, value;
end:
  do :: atomic { reader_buffer ? address, value -> memory[address] = value } od
}
#define STORE(buffer, address, value) buffer ! address, value
#define EXCHANGE(buffer, address, value) atomic { empty(buffer) -> memory[address] = value }

/* What the kernel knows. A doorbell tells of each ring once (EPOLLET). */
bool reader_rung, writer_rung;
bool reader_killed, writer_killed;
bool reader_done, writer_done;
byte handled; /* frames that the reader has made something of */
#ifdef WITHOUT_DEATH_NOTICE
#define READER_GONE false
#define WRITER_GONE false
#else
#define READER_GONE (reader_killed) /* the socket's end of file */
#define WRITER_GONE (writer_killed)
#endif

/* Each side rings once for each epoch of the other that it has seen to be odd (RingFor). */
inline ring_for(epoch, last, bell) {
  if
  :: (epoch % 2 == 1 && epoch != last) -> atomic { last = epoch; bell = true }
  :: else
  fi
}

#ifdef WITHOUT_NEW_EPOCHS
#define NEXT_ODD(epoch) 1
#else
#define NEXT_ODD(epoch) (epoch + 1 + epoch % 2)
#endif

active proctype Writer() {
  byte tail = 0, seen = 0, epoch = 0, other, rung = 0;
  {
    do
    :: tail == FRAMES -> break
    :: else ->
       /* Claim, and what a sender does that finds no room (WantRoom; PrepareSleep). */
       if
       :: tail - seen >= ROOM -> seen = memory[READ_POSITION]
       :: else
       fi;
       if
       :: tail - seen >= ROOM ->
          STORE(writer_buffer, WANTS_ROOM, 1); /* the barrier of the sleep, below, is enough for it */
          do
          :: seen = memory[READ_POSITION];
             if
             :: tail - seen < ROOM -> break
             :: else
             fi;
             epoch = NEXT_ODD(epoch);
#ifdef WITHOUT_BARRIER_OF_WRITERS_SLEEP
             STORE(writer_buffer, WRITER_EPOCH, epoch);
#else
             EXCHANGE(writer_buffer, WRITER_EPOCH, epoch);
#endif
#ifndef WITHOUT_WRITERS_LAST_LOOK
             if
             :: memory[READ_POSITION] == seen ->
#endif
                if
                :: writer_rung -> writer_rung = false
                :: READER_GONE ->
                   /* PeerHasRead: what a handler may have seen does not look unread. */
                   empty(reader_buffer);
                   assert(memory[READ_POSITION] >= handled);
                   goto over
                fi
#ifndef WITHOUT_WRITERS_LAST_LOOK
             :: else
             fi
#endif
             ;
             epoch++;
             STORE(writer_buffer, WRITER_EPOCH, epoch)
          od;
          STORE(writer_buffer, WANTS_ROOM, 0)
       :: else
       fi;
       /* Commit. */
#ifndef WITHOUT_PAYLOAD_FIRST
       STORE(writer_buffer, PAYLOAD(tail), tail + 1);
#endif
#if !defined(WITHOUT_CLEARED_WORD) && !defined(WITHOUT_CLEARING_FIRST)
       STORE(writer_buffer, SIZE(tail + 1), 0);
#endif
#ifdef WITHOUT_BARRIER_OF_COMMIT
       STORE(writer_buffer, SIZE(tail), tail + 1);
#else
       EXCHANGE(writer_buffer, SIZE(tail), tail + 1);
#endif
#ifdef WITHOUT_PAYLOAD_FIRST
       STORE(writer_buffer, PAYLOAD(tail), tail + 1);
#endif
#ifdef WITHOUT_CLEARING_FIRST
       STORE(writer_buffer, SIZE(tail + 1), 0);
#endif
       tail++;
       /* Flush. */
#ifndef WITHOUT_FLUSH
       other = memory[READER_EPOCH];
       ring_for(other, rung, reader_rung)
#else
       skip
#endif
    od;
    over: writer_done = true
  } unless { writer_killed }
}

active proctype Reader() {
  byte head = 0, announced = 0, epoch = 0, size, other, rung = 0;
  bool gone = false;
  {
    do
    :: head == FRAMES -> break
    :: else ->
       /* Receive. */
       size = memory[SIZE(head)];
       if
       :: size != 0 ->
          assert(size == head + 1);
          assert(memory[PAYLOAD(head)] == head + 1);
          head++;
          /* Release. It announces, too, each quarter of the ring: here, never before the reader sleeps. */
#ifndef WITHOUT_RELEASE
          STORE(reader_buffer, READ_POSITION, head);
#endif
          handled = head
       :: size == 0 && gone && memory[SIZE(head)] == 0 -> goto closed
       :: size == 0 && gone && memory[SIZE(head)] != 0 /* what was published before the end is still delivered */
       :: size == 0 && !gone ->
          /* PrepareSleep. */
#ifndef WITHOUT_ANNOUNCE
          if
          :: announced != head ->
             announced = head;
#ifndef WITHOUT_BARRIER_OF_ANNOUNCE
             EXCHANGE(reader_buffer, READ_POSITION, head);
#endif
             if
             :: memory[WANTS_ROOM] != 0 ->
                other = memory[WRITER_EPOCH];
                ring_for(other, rung, writer_rung)
             :: else
             fi
          :: else
          fi;
#endif
          epoch = NEXT_ODD(epoch);
#ifdef WITHOUT_BARRIER_OF_READERS_SLEEP
          STORE(reader_buffer, READER_EPOCH, epoch);
#else
          EXCHANGE(reader_buffer, READER_EPOCH, epoch);
#endif
#ifndef WITHOUT_READERS_LAST_LOOK
          if
          :: memory[SIZE(head)] == 0 ->
#endif
             if
             :: reader_rung -> reader_rung = false
             :: WRITER_GONE -> gone = true
             fi
#ifndef WITHOUT_READERS_LAST_LOOK
          :: else
          fi
#endif
          ;
          /* FinishSleep. */
          epoch++;
          STORE(reader_buffer, READER_EPOCH, epoch)
       fi
    od;
    assert(memory[SIZE(head)] == 0);
    closed: reader_done = true
  } unless { reader_killed }
}

/* At most one of the two is killed, at any moment or never. Who is done with its part lives on. */
active proctype Killer() {
  if
  :: atomic { !writer_done -> writer_killed = true }
  :: atomic { !reader_done -> reader_killed = true }
  :: skip
  fi
}
