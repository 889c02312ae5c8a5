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
COPIED_EVENTS = 50  # from so many on in one transaction, rows written once are copied instead of inserted
IMPORT_CHUNK_EVENTS = 200
CREW_BYTES = 256 << 10  # a smaller file is not worth starting processes for
IMPORT_CHUNK_CHARACTERS = 4 << 20  # a chunk ends with the row that passes it
IMPORT_CHARACTERS_IN_FLIGHT = 2 << 20  # about; at least one chunk
IMPORT_CHUNKS_IN_FLIGHT = 20  # two batches of some hundred events for each lane of a crew
IMPORT_ROW_CHARACTERS = 1 << 20  # one record of a file, all its lines together
IMPORT_COLUMNS = 1_000  # of one mapping
IMPORT_SORT_CHARACTERS = 16 << 20  # sorted in memory; more goes through temporary files
IMPORT_WATCHED = 100_000  # customers whose latest row is remembered, to tell rows that go back in time
IMPORT_REJECTED_BYTES = 4 << 20  # rejected rows that wait for the next checkpoint
IMPORT_REJECTIONS = 10_000  # rejected rows of one import that are rejections too; all are in its file of them
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

# Exports
EXPORT_PAGE_ROWS = 100  # read at once; between two pages live events have their turn
EXPORT_FLUSH_BYTES = 4 << 20  # encoded bytes that wait to be stored
EXPORT_FLUSH_SECONDS = 2.0  # after which they are stored though they are fewer
EXPORT_GROUP_ROWS = 20_000  # of one row group of a Parquet file
EXPORT_GROUP_CHARACTERS = 16 << 20  # a row group ends with the row that passes it
EXPORT_BYTES = 64 << 30  # of one file
EXPORT_IDS = 1_000  # named by one export
EXPORT_COLUMNS = 300
EXPORTS_WAITING = 100  # beyond it 503 with Retry-After

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

# Webhooks
WEBHOOKS = 100
WEBHOOK_URL_LENGTH = 2_000
WEBHOOK_HEADERS = 20
WEBHOOK_HEADER_LENGTH = 1_000
WEBHOOK_OVERLAP_HOURS = 24  # that a rotated secret still signs, unless told otherwise
WEBHOOK_OVERLAP_HOURS_MAX = 168
WEBHOOK_TIMEOUT_SECONDS = 15  # of one attempt, from the look-up of the name to the end of the answer
WEBHOOK_ANSWER_BYTES = 1_000  # read and kept of an answer
WEBHOOK_CONCURRENCY = 10  # attempts under way to one webhook, per process
WEBHOOK_CLAIMED = 100  # deliveries claimed at once
WEBHOOK_LEASE_SECONDS = 90  # after which what is claimed and not recorded is anybody's again
WEBHOOK_BEGIN_SECONDS = 45  # none is begun later than this after its claim: lease less twice the time-out and a margin
WEBHOOK_RETRY_SECONDS = 5  # after the first failure; three times as long after each further one
WEBHOOK_RETRY_SECONDS_MAX = 6 * 3_600  # and what a Retry-After may ask for
WEBHOOK_GIVE_UP_SECONDS = 3 * 86_400
WEBHOOK_PROBE_FAILURES = 10  # in a row; from then on one attempt at a time, until one succeeds
WEBHOOK_REST_SECONDS = 10  # between such attempts
WEBHOOK_DISABLE_FAILURES = 20  # in a row, and
WEBHOOK_DISABLE_SECONDS = 5 * 86_400  # over so long: the webhook is disabled
WEBHOOK_ATTEMPTS_KEPT = 50  # of one delivery
WEBHOOK_DELIVERY_DAYS = 30  # after which deliveries are forgotten
WEBHOOK_SWEPT = 5_000  # deliveries forgotten in one statement
OUTBOX_CLAIMED = 500  # rows told in one transaction
OUTBOX_COUNTED = 100_000  # waiting rows that a measurement counts
SEGMENT_MESSAGES = 100  # of one batch
SEGMENT_BYTES = 500_000  # of one batch

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

# Sources
SOURCES = 200
SOURCE_NAME_LENGTH = 100
SOURCE_CACHE_SECONDS = 2.0  # another process's change is obeyed within this time
SOURCE_SECRET_LENGTH = 500
SOURCE_MAPPINGS = 200  # names that one source maps
SOURCE_TYPES = 200  # types that one source may be limited to
SOURCE_ERRORS = 20  # newest ones, kept per source
SOURCE_OVERLAP_SECONDS = 30 * 86_400  # how long the secrets before a rotation may still be accepted
SOURCE_INBOX_ITEMS = 20_000  # that wait in one source
SOURCE_INBOX_DAYS = 30  # and so long
ANTAVO_OFFSET = 10_000  # rows of a history that `offset` may skip; links lead on
SOURCE_INBOX_BYTES = 64 << 10  # of one of them; what is larger is refused
SOURCE_PAYLOADS = 20  # newest ones, kept per source to be looked at
SOURCE_PAYLOAD_BYTES = 64 << 10  # of one; a larger one is named, not kept
SOURCE_PAYLOADS_BYTES = 16 << 20  # waiting to be written in one process; what is more is not kept
HOOK_BYTES = 4 << 20  # of one webhook: shops tell of every line more than a page
HOOK_DEPTH = 20  # how deep its JSON may nest
HOOK_SECONDS = 30.0  # within which a sender brings its whole body

# Rejections
REJECTION_DAYS = 30
REJECTIONS_KEPT = 100_000  # beyond it the oldest go
REJECTION_BYTES = 64 << 10  # of one payload; a larger one is not kept, its reasons are
REJECTIONS_WAITING = 10_000  # to be written; beyond it they are counted as lost
REJECTIONS_WAITING_BYTES = 32 << 20
REJECTIONS_REPLAYED = 500  # by one call
