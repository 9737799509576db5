"""The base that all packages share: settings, clients, metrics, logs, clock, errors.

Promise: imports nothing of ours but `schemas`; opens no connection and reads no clock at import.
"""
