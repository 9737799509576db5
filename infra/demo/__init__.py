"""The whole way on this machine, on real parts: a mail is sent, its record is in the store, an old day is dropped.

In:  nothing. Out: a tour of at most 25 lines, and the same facts in var/demo/report.json.
Promise: runs `liucun` as its users do, in processes of their own; ends everything that it started.
"""
