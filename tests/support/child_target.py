"""An object for child processes to hold."""

import os
import threading
import time

from glm3edge.errors import DecodeError


class Target:
    """The object in the child process."""

    def __init__(self, word: str = "") -> None:
        self.words = [word]
        self.is_signaled = threading.Event()

    def add(self, word: str) -> list[str]:
        self.words.append(word)
        return self.words

    def fail(self) -> None:
        raise DecodeError(3)

    def end(self, words: str) -> None:
        os.write(2, words.encode())
        os.abort()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def wake(self) -> None:
        self.is_signaled.set()

    def wait_for_signal(self) -> bool:
        return self.is_signaled.wait(60)

    def process_id(self) -> int:
        return os.getpid()
