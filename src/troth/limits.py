"""Every upper bound of the system on one screen. Each has a test that hits it."""

BUCKETS = 256  # fixed at install: a customer's bucket is the first byte of SHA-256 of the external id

# Bodies and documents
BODY_BYTES_SINGLE = 1 << 20
BODY_BYTES_BULK = 16 << 20
NESTING_DEPTH = 10
PROBLEMS_PER_EVENT = 100
BULK_EVENTS = 1_000
PROGRAM_BYTES = 4 << 20

# Identifiers and text, in code points
IDENTIFIER_LENGTH = 255
TEXT_LENGTH = 1_000
LIST_ITEMS = 200

# Numbers
NUMBER_DIGITS = 36  # significant digits of any incoming number
NUMBER_EXPONENT = 36  # absolute value of its decimal exponent
NUMBER_PLACES = 16
AWARD_POINTS = 10**12
BALANCE_POINTS = 2**53 - 1
MULTIPLIER_MAX = 100
MULTIPLIER_PLACES = 4

# Time
FUTURE_SECONDS = 300
OCCURRED_YEAR_MIN = 1990

# Expressions
EXPRESSION_CHARACTERS = 4_000
EXPRESSION_TOKENS = 800
EXPRESSION_DEPTH = 40
EXPRESSION_CHAIN = 60

# Pipeline
BATCH_EVENTS = 500  # events of one transaction
IMPORT_CHUNK_EVENTS = 200
LANES = 2
QUEUE_EVENTS = 20_000  # waiting per lane; beyond it 503 with Retry-After
BATCH_RETRIES = 8
CAUSED_DEPTH = 5
LOTS_PAGE = 100

# Lists
PAGE_ITEMS_DEFAULT = 50
PAGE_ITEMS_MAX = 1_000
