"""Every upper bound of the system on one screen. Each has a test that hits it."""

BUCKETS = 256  # fixed at install: a customer's bucket is the first byte of SHA-256 of the external id

# Bodies and documents
BODY_BYTES_SINGLE = 1 << 20
BODY_BYTES_BULK = 16 << 20
NESTING_DEPTH = 10
COMPRESSED_MEMBERS = 16  # of one gzip body
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
COUNT_MAX = 10**12  # events or orders of one customer, as a rule may read them
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
EXPRESSION_CHAIN = 60  # operators in a row
EXPRESSION_HEIGHT = 120  # of the syntax tree, chains and nesting together
EXPRESSION_COST = 100_000  # node evaluations of one event, with every list full
EXPRESSION_PROBLEMS = 100  # diagnostics of one expression
EXPRESSION_ARGUMENTS = 60  # of one call or list
EXPRESSION_TRACE = 400  # steps shown of one evaluation

# Pipeline
BATCH_EVENTS = 500  # events of one transaction
IMPORT_CHUNK_EVENTS = 200
IMPORT_CHUNK_CHARACTERS = 4 << 20  # a chunk ends with the row that passes it
IMPORT_CHUNKS_IN_FLIGHT = 10  # two full batches for each of two lanes
IMPORT_ROW_CHARACTERS = 1 << 20  # one record of a file, all its lines together
IMPORT_COLUMNS = 1_000  # of one mapping
IMPORT_SORT_CHARACTERS = 16 << 20  # sorted in memory; more goes through temporary files
IMPORT_WATCHED = 100_000  # customers whose latest row is remembered, to tell rows that go back in time
IMPORT_REJECTED_BYTES = 4 << 20  # rejected rows that wait for the next checkpoint
IMPORT_FILE_MB = 4_096  # of one upload, unless TROTH_IMPORT_MB says otherwise
IMPORT_OPTIONS_BYTES = 1 << 16  # of the JSON beside the file
IMPORT_PREVIEW_ROWS = 200  # of one dry run
IMPORT_TEMPLATES = 1_000
PATIENT_EVENTS = 25  # of an import in one batch while live events come: what these may have to wait for
PATIENCE_SECONDS = 1.0  # without a live event, after which an import has the lanes for itself
LANES = 2
QUEUE_EVENTS = 20_000  # waiting per lane; beyond it 503 with Retry-After
RETRY_SECONDS = 60  # how long a batch is tried again: minutes of crash recovery are the caller's to wait for
COMMIT_SECONDS = 15  # without an answer to COMMIT the batch is looked up and run again
ROLLBACK_SECONDS = 5
ANSWER_SECONDS = 5  # longer than the server's own bound on a statement: then the connection is given up
RETRY_PAUSE_SECONDS = 0.02  # doubled after each try
RETRY_PAUSE_SECONDS_MAX = 1.0
NAME_TRIES = 10  # of a batch whose customers are renamed or erased meanwhile
CAUSED_DEPTH = 5
LOTS_PAGE = 100
LACKING_ROUNDS = 200  # how often a batch is judged again because something had to be loaded first
ORDER_REFUNDS = 1_000  # by identity, of one order
ORDER_WAITING = 1_000  # events of one order before it is opened
RESERVATION_MINUTES = 30  # unless it says otherwise
RESERVATION_DAYS_MAX = 366
TIER_DAYS = 4_000  # days with qualifying points that a customer's tier history tells apart; the oldest are joined

# Due work
DUE_CUSTOMERS = 25  # whom one transaction of the worker settles
DUE_LOTS = 1_000  # at most that many of their lots together
PUT_OFF_SECONDS = 3_600  # how long a customer that cannot be judged waits
DUE_STEPS = 400  # due events of one customer in one transaction; the rest comes with the next

# Files and jobs
FILE_PIECE_BYTES = 1 << 20  # of one row
FILE_NAME_LENGTH = 255
FILE_DAYS = 90  # how long they are kept, unless TROTH_FILE_DAYS says otherwise
UPLOAD_IDLE_SECONDS = 60  # without a byte, after which an upload is given up
FILES_DROPPED = 100  # at once, when they have expired
JOB_LEASE_SECONDS = 15  # after which the job of a process that is gone is anybody's
JOB_ATTEMPTS = 5  # without a checkpoint between them; then the job has failed

# Rewards
REWARD_CODES = 100_000  # of one import
REWARD_CODE_LENGTH = 200
PROGRAMS_KEPT = 50  # compiled revisions in one process

# Lists
PAGE_ITEMS_DEFAULT = 50
PAGE_ITEMS_MAX = 1_000
USER_AGENT_LENGTH = 500  # what is longer is cut

# Keys and signatures
KEY_CACHE_ENTRIES = 10_000
KEY_CACHE_SECONDS = 5  # another process's revocation is obeyed within this time
KEY_NAME_LENGTH = 100
KEY_SCOPES = 50
KEY_ORIGINS = 100
KEY_ADDRESSES = 100
SIGNATURE_SECONDS = 300  # how far a signed request's time may be from ours
SIGNATURES_REMEMBERED = 100_000  # of the last 2 × SIGNATURE_SECONDS; beyond it signed requests get 503

# Forms
FORM_FIELDS = 1_000

# The program
PROGRAM_YAML_BYTES = 1 << 20  # YAML is read slowly, some 0.4 MB a second
PROGRAM_NODES = 200_000  # values of a document, aliases expanded
PROGRAM_DEPTH = 24
PROGRAM_PROBLEMS = 500  # listed; the rest is counted
PROGRAM_ID_LENGTH = 64
PROGRAM_LABEL_LENGTH = 200
PROGRAM_TEXT_LENGTH = 4_000  # descriptions, benefits, notes
EVENT_TYPES = 500
PROPERTIES = 200  # of one event type, and of one object
PROPERTY_DEPTH = 3  # lists and objects within each other
PROPERTY_TEXT_LENGTH = 100_000
PROPERTY_LIST_ITEMS = 1_000
ENUM_VALUES = 1_000
RULES = 2_000
RULE_LIMITS = 10
LEVELS = 50
WALLETS = 20
REWARDS = 2_000
REWARD_STOCK = 10**9
REWARD_CLAIMS = 10**6  # of one customer
RETURN_DAYS = 3_660
EXPIRY_MONTHS = 1_200
DURATION_DAYS = 3_660
PRIORITY = 1_000_000  # absolute value
