"""What ops run: migrations, retention, the scheduler, the doctor.

In:  the store and the brokers, through `infra.platform`. Out: facts in the store's own tables, and exit codes.
Promise: what destroys is a dry run without `--execute`, leaves a record before and after, and checks itself.
The whole way of a job is in `scheduler`.
"""
