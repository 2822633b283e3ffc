"""Event source mappings on this machine: what Lambda does between a stream or a queue and a function, with the functions as they are built.

The functions run as processes that speak Lambda's Runtime API, several environments of each, frozen between invocations and
killed at random. `stream.py` and `queue.py` follow the rules of tests/src/simulation/delivery, each of which names the page of
AWS that it rests on. In contrast to the simulation, processes and sockets are real, and so is time: a seed gives the same
orders, the same deliveries that are repeated and the same kills per batch, but not the same history to the byte.
"""
