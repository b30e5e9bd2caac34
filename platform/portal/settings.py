"""Django settings of the portal. Everything that differs between installations comes from the environment."""

from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF

from portal import environment, logs

BASE_DIR = Path(__file__).resolve().parents[2]
PROFILE = environment.profile()
PRODUCTION = PROFILE == "production"
DEBUG = False

SECRET_KEY = environment.required("FEDSTUDY_SECRET_KEY")
FEDSTUDY_PROFILE = PROFILE
FEDSTUDY_PUBLIC_URL = environment.optional("FEDSTUDY_PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
FEDSTUDY_DATA_DIR = Path(environment.required("FEDSTUDY_DATA_DIR"))
FEDSTUDY_SUPERLINK_ADDRESS = environment.optional("FEDSTUDY_SUPERLINK_ADDRESS")
FEDSTUDY_SUPERLINK_INTERNAL = environment.optional("FEDSTUDY_SUPERLINK_INTERNAL")
FEDSTUDY_SUPERLINK_CA = environment.existing_path("FEDSTUDY_SUPERLINK_CA")
# What a script's own ServerApp may use at the centre, and the weakest sandbox that it is started in.
FEDSTUDY_SERVER_APP_SANDBOX = environment.optional("FEDSTUDY_SERVER_APP_SANDBOX", "S3")
FEDSTUDY_SERVER_APP_MEMORY_MB = environment.whole_number("FEDSTUDY_SERVER_APP_MEMORY_MB", 4096)
FEDSTUDY_SUPEREXEC_SECRET_FILE = environment.existing_path("FEDSTUDY_SUPEREXEC_SECRET_FILE")
# The largest script bundle or protocol that is taken, in bytes; every other request is held to FEDSTUDY_MAX_BODY.
FEDSTUDY_MAX_UPLOAD = environment.whole_number("FEDSTUDY_MAX_UPLOAD", 10 * 1024 * 1024)
FEDSTUDY_MAX_FREIGHT = environment.whole_number("FEDSTUDY_MAX_FREIGHT", 4 * 1024**3)  # a site's answer with its arrays
FEDSTUDY_MAX_BODY = environment.whole_number("FEDSTUDY_MAX_BODY", 4 * 1024 * 1024)
# How many runs of one study, and how many that ask one node, may be under way together; further ones are queued.
FEDSTUDY_RUNS_PER_STUDY = environment.whole_number("FEDSTUDY_RUNS_PER_STUDY", 2)
FEDSTUDY_RUNS_PER_NODE = environment.whole_number("FEDSTUDY_RUNS_PER_NODE", 4)
# Which log of events this is, for ever, and the key that signs its checkpoints: only the sequencer can read that.
FEDSTUDY_LOG_ORIGIN = environment.optional("FEDSTUDY_LOG_ORIGIN", f"{urlsplit(FEDSTUDY_PUBLIC_URL).netloc}/audit")
FEDSTUDY_LOG_KEY = environment.existing_path("FEDSTUDY_LOG_KEY")
# Makes the pseudonyms of sessions, addresses and programs in the log; who replaces and forgets it cuts them off.
FEDSTUDY_LOG_SECRET = environment.secret_text("FEDSTUDY_LOG_SECRET") or f"log\n{SECRET_KEY}"
# How many pages, of all people together, may listen to what changes at the same time; further ones ask by themselves.
FEDSTUDY_MAX_STREAMS = environment.whole_number("FEDSTUDY_MAX_STREAMS", 200)
# Networks inside to which webhooks may go, also without TLS; outside, webhooks go by TLS only.
FEDSTUDY_WEBHOOK_NETWORKS = environment.networks("FEDSTUDY_WEBHOOK_NETWORKS")
FEDSTUDY_VERSION = "0.1.0"
# As the log names it: with the build of an image or a checkout, where whoever builds it says so.
FEDSTUDY_SOFTWARE = "+".join(filter(None, (FEDSTUDY_VERSION, environment.optional("FEDSTUDY_BUILD"))))

# Health checks ask on the machine itself, whatever name the portal has outside.
ALLOWED_HOSTS = ["127.0.0.1", "localhost", *environment.names("FEDSTUDY_ALLOWED_HOSTS")]
CSRF_TRUSTED_ORIGINS = [FEDSTUDY_PUBLIC_URL]
ROOT_URLCONF = "portal.urls"
ASGI_APPLICATION = "portal.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = False

INSTALLED_APPS = [
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "csp",
    "django_htmx",
    "drf_spectacular",
    "guardian",
    "knox",
    "pgtrigger",
    "rest_framework",
    "audit",
    "accounts",
    "notifications",
    "studies.lifecycle",
    "studies.dictionary",
    "studies.enrolment",
    "studies.pooling",
    "studies.scripts",
    "nodes.registry",
    "federation.runs",
    "federation.releases",
    "federation.degrees",
    "webhooks",
    "portal.web",
    "portal.api",
]

MIDDLEWARE = [
    "portal.middleware.RequestIdentity",
    "django.middleware.security.SecurityMiddleware",
    "portal.middleware.SecurityHeaders",
    "portal.middleware.StaticFiles",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.session_life.SessionLife",
    "portal.languages.Languages",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["portal.web.templatetags.addresses"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
FORM_RENDERER = "django.forms.renderers.Jinja2"  # compiles the widgets' small templates, most of the time of a form

# --- Database, cache -------------------------------------------------------------------------------------------------
DATABASES = {
    "default": environment.database(environment.required("FEDSTUDY_DATABASE_URL"), pool=PROFILE != "test"),
}
REDIS = environment.Redis(environment.required("FEDSTUDY_REDIS_URL"))
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS.url,
        "KEY_PREFIX": "fedstudy",
        "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 2},
    }
}

# --- People ----------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
ANONYMOUS_USER_NAME = None
GUARDIAN_MONKEY_PATCH_USER = False
PASSWORD_HASHERS = (
    ["django.contrib.auth.hashers.MD5PasswordHasher"]
    if PROFILE == "test"
    else ["django.contrib.auth.hashers.ScryptPasswordHasher"]
)
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Whether everybody needs a second factor; only the demo's people come in by password alone.
FEDSTUDY_FACTORS_REQUIRED = PRODUCTION
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
MFA_ADAPTER = "accounts.factor_store.FactorStore"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "FedStudy"
MFA_TOTP_TOLERANCE = 1  # a code of the half minute before and after, as clocks differ
MFA_RECOVERY_CODE_DIGITS = 16
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not PRODUCTION  # http://localhost
# Single sign-on by OpenID Connect; without an issuer there is none.
FEDSTUDY_SINGLE_SIGN_ON = environment.SingleSignOn.read()
SOCIALACCOUNT_PROVIDERS = FEDSTUDY_SINGLE_SIGN_ON.providers
SOCIALACCOUNT_ADAPTER = "portal.web.single_sign_on.Adapter"
LOGIN_URL = "/sign-in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/sign-in"

# --- E-mail: only ever “something waits for you” with a link ---------------------------------------------------------
MAIL = environment.Mail(
    environment.optional("FEDSTUDY_EMAIL_URL", "" if PRODUCTION else f"file://{FEDSTUDY_DATA_DIR / 'mail'}")
)
FEDSTUDY_SENDS_EMAIL = bool(MAIL.url)
DEFAULT_FROM_EMAIL = environment.optional("FEDSTUDY_EMAIL_FROM", "fedstudy@localhost")
globals().update(MAIL.settings)

# --- Sessions, cookies, transport ------------------------------------------------------------------------------------
SESSION_ENGINE = "accounts.sessions"
# After how long people show again that it is them, before what cannot be undone (portal.step_up).
FEDSTUDY_STEP_UP_S = 60 * environment.whole_number("FEDSTUDY_STEP_UP_MINUTES", 10)
SESSION_COOKIE_NAME = "__Host-fedstudy" if PRODUCTION else "fedstudy"
SESSION_COOKIE_SECURE = PRODUCTION
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# A session is over 12 hours after the sign-in, or when nobody has used it for this long.
SESSION_COOKIE_AGE = 12 * 60 * 60
FEDSTUDY_SESSION_IDLE_S = 60 * environment.whole_number("FEDSTUDY_SESSION_IDLE_MINUTES", 30)
SESSION_EXPIRE_AT_BROWSER_CLOSE = PRODUCTION
CSRF_FAILURE_VIEW = "portal.failures.csrf"
CSRF_COOKIE_NAME = "__Host-fedstudy-csrf" if PRODUCTION else "fedstudy-csrf"
CSRF_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PRODUCTION else None
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF, *FEDSTUDY_SINGLE_SIGN_ON.origins],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = FEDSTUDY_MAX_BODY
DATA_UPLOAD_MAX_NUMBER_FILES = 4
FILE_UPLOAD_PERMISSIONS = 0o600

# --- API -------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "portal.api.token_auth.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "portal.api.step_up.SignedInLately",
    ],
    "DEFAULT_RENDERER_CLASSES": ["portal.api.formats.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["portal.api.formats.StrictJSONParser"],
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS is no method of the API: the OpenAPI document says what there is
    "DEFAULT_SCHEMA_CLASS": "portal.api.schema.Operation",
    "DEFAULT_VERSIONING_CLASS": None,
    "EXCEPTION_HANDLER": "portal.api.problems.handle",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    # How often one address may try; the demo plays its people faster than people type.
    "DEFAULT_THROTTLE_RATES": {
        "sign-in": "10/minute" if PRODUCTION else "600/minute",
        "sign-in-account": "20/hour" if PRODUCTION else "600/minute",
        "password": "20/hour" if PRODUCTION else "600/minute",
        "code": "10/hour" if PRODUCTION else "600/minute",
        "join-code": "30/hour" if PRODUCTION else "600/minute",
        "setup": "5/minute" if PRODUCTION else "600/minute",
        "enrol": "20/minute" if PRODUCTION else "600/minute",
    },
    "NUM_PROXIES": 1 if PRODUCTION else 0,
}
# Knox's own table is not made: tokens are kept in ours.
MIGRATION_MODULES = {"knox": None}
KNOX_TOKEN_MODEL = "accounts.ApiToken"  # noqa: S105  (a model's name)
REST_KNOX = {"TOKEN_MODEL": KNOX_TOKEN_MODEL, "AUTO_REFRESH": False}
SPECTACULAR_SETTINGS = {
    "TITLE": "FedStudy",
    "DESCRIPTION": "Studies, sites, nodes, scripts, approvals and runs of a FedStudy portal. Errors are problem "
    "details (RFC 9457) with a stable `code`.",
    "VERSION": FEDSTUDY_VERSION,
    "OAS_VERSION": "3.1.0",
    "LICENSE": {"name": "Apache-2.0"},
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "StudyState": "portal.api.choices.STUDY_STATES",
        "DatasetState": "portal.api.choices.DATASET_STATES",
        "EnrolmentState": "portal.api.choices.ENROLMENT_STATES",
        "VersionState": "portal.api.choices.VERSION_STATES",
        "ApprovalState": "portal.api.choices.APPROVAL_STATES",
        "NodeState": "portal.api.choices.NODE_STATES",
        "Decision": "portal.api.choices.DECISION_NAMES",
        "PoolConsentState": "portal.api.choices.POOL_CONSENT_STATES",
        "ThreadState": "portal.api.choices.THREAD_STATES",
        "DegreeKind": "portal.api.choices.DEGREE_KINDS",
        "WantedDegreeKind": "portal.api.choices.WANTED_DEGREE_KINDS",
        "StudyRole": "portal.api.choices.STUDY_ROLE_NAMES",
        "SiteRole": "portal.api.choices.SITE_ROLE_NAMES",
        "TokenScope": "portal.api.choices.TOKEN_SCOPES",
        "FactorKind": "portal.api.choices.FACTOR_KINDS",
        "SessionKind": "portal.api.choices.SESSION_KINDS",
        "AnyRole": "portal.api.choices.ROLE_NAMES",
        "RequestState": "portal.api.choices.REQUEST_STATES",
        "PartState": "portal.api.choices.PART_STATES",
        "VersionStanding": "portal.api.choices.STANDING_NAMES",
        "ThreadKind": "portal.api.choices.THREAD_KIND_NAMES",
        "FindingRisk": "portal.api.choices.FINDING_RISKS",
        "RiskWord": "portal.api.choices.RISK_WORDS",
        "OfferedLevel": "portal.api.choices.OFFERED_LEVEL_NAMES",
        "ParticipationLevel": "portal.api.choices.LEVEL_NAMES",
        "RunPart": "portal.api.choices.PART_NAMES",
        "SetUpStep": "portal.api.choices.SET_UP_STEPS",
        "RoleScope": "portal.api.choices.ROLE_SCOPES",
        "WebhookState": "portal.api.choices.WEBHOOK_STATES",
        "WebhookKind": "portal.api.choices.WEBHOOK_KINDS",
        "DeliveryState": "portal.api.choices.DELIVERY_STATES",
        "NotificationKind": "portal.api.choices.NOTIFICATION_KINDS",
        "FileChangeKind": "portal.api.choices.FILE_CHANGES",
    },
}

# --- Tasks (portal.celery reads the names that start with CELERY_) ---------------------------------------------------
CELERY_BROKER_URL = REDIS.broker_url
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "global_keyprefix": "fedstudy:"}
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = False
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_EVENT_SERIALIZER = "json"
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
CELERY_TASK_DEFAULT_QUEUE = "fedstudy"
# Servers outside may be slow or gone: what waits for them has a queue of its own, so that no run waits behind it.
CELERY_TASK_ROUTES = {"webhooks.*": {"queue": "outside"}, "notifications.*": {"queue": "outside"}}
CELERY_BEAT_SCHEDULE = {
    "reconcile-runs": {
        "task": "federation.runs.tasks.reconcile",
        "schedule": 5.0,
        # A reconciliation that nobody took before the next one is due is of no use.
        "options": {"expires": 5.0},
    },
    "refresh-findings": {"task": "studies.scripts.tasks.refresh_findings", "schedule": 60.0},
    "send-waiting": {"task": "notifications.tasks.send_waiting", "schedule": 300.0},
    "forget-answers": {"task": "portal.api.tasks.forget_answers", "schedule": 3600.0},
    "send-webhooks": {"task": "webhooks.tasks.send_due", "schedule": 30.0, "options": {"expires": 30.0}},
    "expire-consents": {
        "task": "studies.pooling.tasks.expire_consents",
        "schedule": 30.0,
        "options": {"expires": 30.0},
    },
    "announce-expiring": {"task": "studies.scripts.tasks.announce_expiring", "schedule": 3600.0},
}

# --- Language, time, static files, logs ------------------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"
LANGUAGES = [("en-gb", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "platform" / "portal" / "locale"]
FORMAT_MODULE_PATH = ["portal.formats"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Production collects the static files; everywhere else they are served from where they are.
STATIC_ROOT = environment.existing_path("FEDSTUDY_STATIC_ROOT")
if PRODUCTION and STATIC_ROOT is None:
    STATIC_ROOT = FEDSTUDY_DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
MEDIA_ROOT = FEDSTUDY_DATA_DIR / "media"
WHITENOISE_USE_FINDERS = not PRODUCTION
# A file is found when it is asked for: each client of a test has its own middleware, and asks for few of hundreds.
WHITENOISE_AUTOREFRESH = PROFILE == "test"
WHITENOISE_ALLOW_ALL_ORIGINS = False

LOGGING = logs.configuration(
    style=environment.optional("FEDSTUDY_LOG_FORMAT", "json" if PRODUCTION else "keyvalue"),
    level=environment.optional("FEDSTUDY_LOG_LEVEL", "INFO"),
)
LOGGING_CONFIG = "logging.config.dictConfig"
