"""What the next hop's answer may tell, in strict form: the queue id that it gave the message, the session of an LMTP
delivery. Nothing else of an answer is ever kept: its text is a stranger's.
"""

import re
from typing import Final

QUEUED_AS: Final = re.compile(rb"[Qq]ueued as ([0-9A-Za-z]{5,24})\b")
EXIM_ID: Final = re.compile(rb"\bid=([0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4})\b")
SENDMAIL_ID: Final = re.compile(rb"2\.0\.0 ([0-9A-Za-z]{10,20}) Message accepted for delivery")
# `<recipient> SESSION:R2:T3 Saved`: Dovecot's second recipient, third transaction. A recipient may be quoted.
LMTP_SESSION: Final = re.compile(rb"<.*> ([0-9A-Za-z+/]{16,32}(?::[A-Z]?\d{1,9}){0,4}) Saved")
