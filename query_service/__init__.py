"""The lawful query desk: agency -> identity -> audit -> authorise -> read -> answer.

In:  calls over mutual TLS, each with a token (`identity`). Out: records of the store, or a typed refusal.
Promise: nothing is read before its intent is committed in the ledger, nothing leaves before its segment is; what is
refused is in the ledger too; without the ledger nothing is answered. All that this service knows is a projection of the
ledger (`state`). The whole way is in `server` and, for one question, in `execute`.
"""
