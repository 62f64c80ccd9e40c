"""A process that locks with redis-py's Lock, or as pylock or retools do.

    python3 peer.py LIBRARY PORT KEY EXPIRES PAUSE

It says "ready" when it is connected. Then it reads a command a line and answers
each with a line:

    acquire SECONDS                          yes, no: not within that time
    release                                  ok
    holds THREADS HOLDS REST DIRECTORY       ok: that many holds of each thread

An answer that begins with "error" says what went wrong. The end of stdin ends
the process, whatever it is doing: it never outlives its parent.
"""

import os
import queue
import random
import sys
import threading
import time
import uuid

import redis


class Pylock:
    """pylock's loop. Nothing but the time tells its lock from another's."""

    def __init__(self, client, key, expires, pause):
        self.client, self.key, self.expires, self.pause = client, key, expires, pause
        self.start = 0.0

    def acquire(self, wait):
        until = time.monotonic() + wait
        while not self.attempt():
            if time.monotonic() + self.pause > until:
                return False
            time.sleep(self.pause)
        self.start = time.time()
        self.client.expire(self.key, int(self.expires))
        return True

    def attempt(self):
        stamp = str(time.time() + self.expires + 1)
        if self.client.setnx(self.key, stamp):
            return True
        found = self.client.get(self.key)
        if found is None or float(found) >= time.time():
            return False
        return self.client.getset(self.key, stamp) == found

    def release(self):
        if time.time() - self.start < self.expires:
            self.client.delete(self.key)


class Retools:
    """retools' loop: one script each way, and a value of its own."""

    ACQUIRE = """
        local won = redis.call('SETNX', KEYS[1], ARGV[1])
        if won == 1 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
        return won"""
    RELEASE = """
        if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
        return redis.call('DEL', KEYS[1])"""

    def __init__(self, client, key, expires, pause):
        self.client, self.key, self.expires, self.longest = client, key, expires, pause
        self.script, self.undo = client.register_script(self.ACQUIRE), client.register_script(self.RELEASE)
        self.value = None

    def acquire(self, wait):
        until, value, pause = time.monotonic() + wait, uuid.uuid4().hex, min(0.005, self.longest)
        while not self.script(keys=[self.key], args=[value, int(self.expires)]):
            jittered = pause * random.uniform(0.5, 1)
            if time.monotonic() + jittered > until:
                return False
            time.sleep(jittered)
            pause = min(2 * pause, self.longest)
        self.value = value
        return True

    def release(self):
        # It says nothing of a lock that was lost. Here that would hide a failure.
        if not self.undo(keys=[self.key], args=[self.value]):
            raise RuntimeError("released a lock that was not held")


class RedisPy:
    """redis-py's own Lock; release raises if the lock is no longer its own."""

    def __init__(self, client, key, expires, pause):
        self.lock = client.lock(key, timeout=expires, sleep=pause)

    def acquire(self, wait):
        return self.lock.acquire(blocking_timeout=wait)

    def release(self):
        self.lock.release()


LIBRARIES = {"redis-py": RedisPy, "pylock": Pylock, "retools": Retools}


def visit(directory):
    """Adds one to a number in a file that the lock alone protects."""
    with open(os.path.join(directory, "counter"), "r+") as counter:
        n = int(counter.read())
        with open(os.path.join(directory, "turns"), "a") as turns:
            turns.write("t")
        counter.seek(0)
        counter.write("%06d" % (n + 1))


def hold(lock, holds, rest, directory):
    for _ in range(holds):
        if not lock.acquire(30):
            raise RuntimeError("starved")
        visit(directory)
        lock.release()
        time.sleep(random.uniform(0, 2 * rest))


def compete(new, threads, holds, rest, directory):
    errors = []

    def run():
        try:
            hold(new(), holds, rest, directory)
        except Exception as e:
            errors.append(e)

    running = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    for t in running:
        t.start()
    for t in running:
        t.join()
    if errors:
        raise errors[0]
    return "ok"


def obey(commands, new):
    lock = new()
    for line in iter(commands.get, None):
        name, *args = line.split()
        try:
            if name == "acquire":
                answer = "yes" if lock.acquire(float(args[0])) else "no"
            elif name == "release":
                lock.release()
                answer = "ok"
            elif name == "holds":
                answer = compete(new, int(args[0]), int(args[1]), float(args[2]), args[3])
            else:
                answer = "error: unknown command " + name
        except Exception as e:
            answer = "error: %s: %s" % (type(e).__name__, " ".join(str(e).split()))
        print(answer, flush=True)


def main():
    library, port, key, expires, pause = sys.argv[1:]
    client = redis.Redis(host="127.0.0.1", port=int(port))
    commands = queue.Queue()

    def new():
        return LIBRARIES[library](client, key, float(expires), float(pause))

    client.ping()
    print("ready", flush=True)
    # Commands run beside the reader, which has to see the parent's end.
    threading.Thread(target=obey, args=(commands, new), daemon=True).start()
    for line in sys.stdin:
        commands.put(line)
    os._exit(0)


main()
