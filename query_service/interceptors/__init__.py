"""What every call goes through, one file each, in the order that server.py lists. `_wrap` is the only grpc glue.

Each step is a context manager around the rest of the call; a refusal is a DeskError raised inside it.
"""
