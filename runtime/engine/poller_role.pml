/* The role of poller among threads that wait, for Spin (poller_role.h): who takes it, leaves it to sleep, borrows it, gives it
   back, and who wakes whom.

   Three threads wait once each. One is answered by a frame in a ring, whose doorbell rings only for a reader that has
   announced that it sleeps; one by a task, which the poller runs; one by any thread, as if its call were cancelled.

   It must hold: one thread polls at a time, and nobody who is answered waits for ever. A run with one of the macros
   WITHOUT_... leaves out one step, and must fail. tests/models runs them all. */

#define THREADS 3
#define RUNG 0   /* the thread that the frame is for, */
#define TASKED 1 /* the one that the task is for, */
#define DIRECT 2 /* and the third. The others have found already that borrowing does not pay (it holds without that, too). */

mtype = {FREE, HELD, LEFT, BORROWED};
mtype role = FREE;
mtype = {NONE, ALONE, RELIEVED};
mtype sleeper = NONE;
byte pollers;

mtype = {AWAKE, PARKED, POLLS};
mtype spot[THREADS] = AWAKE; /* where a thread sleeps: by itself, or in epoll */
bool done[THREADS];
bool unparked[THREADS];

byte followers;
bool listed[THREADS], may_borrow[THREADS];
bool promoting;

/* The ring. */
bool frame, armed, looked_at = true;
/* What epoll tells, once. */
bool bell, wake;
bool has_tasks;

inline wake_sleeper() {
#ifdef WITHOUT_WAKING_WHO_IS_RELIEVED
  if :: sleeper == ALONE -> wake = true :: else fi
#else
  if :: sleeper != NONE -> wake = true :: else fi
#endif
}

/* WaitSpot::Notify. Atomic in it all: a thread that sets out to sleep publishes that first, and looks again then. */
inline answer(thread) {
  done[thread] = true;
  if
  :: spot[thread] == PARKED -> unparked[thread] = true
  :: spot[thread] == POLLS -> wake_sleeper()
  :: spot[thread] == AWAKE
  fi
}

inline post() {
  has_tasks = true;
  if :: atomic { sleeper == ALONE -> wake = true } :: sleeper != ALONE fi
}

/* PromoteFollower. */
inline promote() {
#ifndef WITHOUT_PROMOTION
  if
  :: atomic { !promoting -> promoting = true };
     atomic {
       if
       :: listed[0] -> unparked[0] = true
       :: listed[1] -> unparked[1] = true
       :: listed[2] -> unparked[2] = true
       :: else -> promoting = false
       fi
     }
  :: promoting
  fi
#else
  skip
#endif
}

/* OfferToFollower. */
inline offer() {
#ifdef WITHOUT_TELLING_OFFER_FROM_PROMOTION
  if :: atomic { !promoting -> promoting = true } :: promoting fi;
#endif
  atomic {
    if
    :: listed[0] && may_borrow[0] -> unparked[0] = true
    :: listed[1] && may_borrow[1] -> unparked[1] = true
    :: listed[2] && may_borrow[2] -> unparked[2] = true
    :: else ->
#ifdef WITHOUT_TELLING_OFFER_FROM_PROMOTION
       promoting = false
#else
       skip
#endif
    fi
  }
}

inline release() {
  role = FREE;
  if :: followers > 0 -> promote() :: followers == 0 fi
}

/* PollOnce. */
inline poll() {
  atomic {
    pollers++;
    assert(pollers == 1);
    if
    :: has_tasks -> has_tasks = false; answer(TASKED)
    :: else
    fi
  };
  atomic {
    if
    :: looked_at && frame -> frame = false; answer(RUNG)
    :: else
    fi;
    pollers--
  }
}

/* What PutAllToSleep looks for once it has published that the poller sleeps. */
#ifdef WITHOUT_LOOKING_FOR_TASKS
#define BUSY false
#else
#define BUSY has_tasks
#endif
#ifdef WITHOUT_ANNOUNCING
#define ANNOUNCED false
#else
#define ANNOUNCED true
#endif

inline activate() { looked_at = true; armed = false }

proctype Waiter(byte me) {
  bool borrows = me == DIRECT, followed, quiet;
  do
  :: atomic { done[me] -> break }
  /* PollForSelf */
  :: atomic { !done[me] && role == FREE -> role = HELD };
poll_for_self:
     poll();
     if
     :: done[me] -> release()
     :: else ->
        atomic { spot[me] = POLLS; sleeper = ALONE };
        atomic { quiet = !BUSY && !done[me]; armed = quiet && ANNOUNCED };
        atomic {
          if
          :: quiet && !frame -> looked_at = false; role = LEFT
          :: else -> armed = false; sleeper = NONE; spot[me] = AWAKE; quiet = false; goto poll_for_self
          fi;
          quiet = false
        };
        atomic { bell || wake -> bell = false; wake = false };
        /* ReturnFromSleep */
        if
        :: atomic { role == LEFT -> role = HELD; sleeper = NONE; activate(); spot[me] = AWAKE };
           goto poll_for_self
#ifdef WITHOUT_HANDING_OVER
        :: atomic { role == BORROWED -> spot[me] = AWAKE }
#else
        :: atomic { role == BORROWED -> role = HELD; spot[me] = AWAKE }
#endif
        fi
     fi
  /* PollBorrowed */
  :: atomic { !done[me] && borrows && role == LEFT -> role = BORROWED; sleeper = RELIEVED; activate() };
     borrows = false;
     poll();
     /* GiveBack */
     sleeper = ALONE;
     atomic { quiet = !BUSY; armed = quiet && ANNOUNCED };
     atomic {
       if
       :: quiet && !frame -> looked_at = false
       :: else -> armed = false; quiet = false
       fi;
       if
       :: role == BORROWED -> role = LEFT
       :: else -> sleeper = NONE; activate(); goto own
       fi
     };
     if
#ifdef WITHOUT_WAKING_FOR_WHAT_IS_LEFT
     :: !quiet
#else
     :: !quiet -> atomic { wake_sleeper() }
#endif
     :: quiet && done[me] -> offer()
     :: quiet && !done[me]
     fi;
     goto given_back;
own: release();
given_back:
     quiet = false
  /* Follow */
  :: !done[me] && (role == HELD || role == BORROWED || (role == LEFT && !borrows)) ->
     atomic {
       listed[me] = true;
       may_borrow[me] = borrows;
       followers++;
       followed = true;
       spot[me] = PARKED
     };
     do
     :: atomic { done[me] -> break }
#ifndef WITHOUT_LOOKING_AGAIN
     :: atomic { !done[me] && (role == FREE || (borrows && role == LEFT)) -> break }
     :: atomic { !done[me] && !(role == FREE || (borrows && role == LEFT)) };
#else
     :: atomic { !done[me] };
#endif
        atomic { unparked[me] -> unparked[me] = false; promoting = false }
#ifdef WITHOUT_LOOKING_AGAIN
        ;
        break
#endif
     od;
     atomic { spot[me] = AWAKE; listed[me] = false; followers--; promoting = false }
  od;
#ifndef WITHOUT_PASSING_THE_CHANCE_ON
  if
  :: followed && role == FREE && followers > 0 -> promote()
  :: else
  fi
#else
  skip
#endif
}

/* The other side of the ring. */
proctype Peer() {
  frame = true;
  if :: atomic { armed -> bell = true } :: !armed fi
}

proctype Tasks() { post() }

proctype Canceller() {
  atomic { answer(DIRECT) }
}

init {
  byte thread;
  atomic {
    for (thread : 0 .. THREADS - 1) { run Waiter(thread) }
    run Peer();
    run Tasks();
    run Canceller()
  }
}
