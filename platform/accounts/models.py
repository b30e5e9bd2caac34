"""People, sites, sessions, tokens, and the one-time token of the first administrator."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, Group, PermissionsMixin
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.contrib.postgres.fields import ArrayField
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from guardian.models import GroupObjectPermissionBase
from knox.models import AbstractAuthToken

from accounts import permissions
from accounts.roles import HeldRole, Role
from accounts.scopes import TokenScope
from accounts.standing import Standing
from accounts.states import REQUEST
from audit.selectors import Scope


class UserManager(BaseUserManager["User"]):
    """Finds people by their e-mail address, however it is capitalised."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Store a person; without a password they cannot sign in."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(Standing, AbstractBaseUser, PermissionsMixin):  # type: ignore[django-manager-missing]  # knox has no types
    """A person. Django's superuser does not exist here: the database refuses it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120)
    is_active = models.BooleanField(default=True)
    is_platform_admin = models.BooleanField(default=False)
    time_zone = models.CharField(max_length=60, default="UTC", help_text="In which pages show times")
    language = models.CharField(max_length=8, default="", blank=True, help_text="Of pages; empty: as the browser asks")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        ordering = ["name", "email"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(Lower("email"), name="accounts_user_email_once"),
            models.CheckConstraint(condition=~Q(name=""), name="accounts_user_named"),
            models.CheckConstraint(condition=Q(is_superuser=False), name="accounts_user_no_superuser"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def audit_name(self) -> str:
        return f"user:{self.pk}"

    @property
    def audit_label(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which the person reads times; UTC for one that is not known any more."""
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            return ZoneInfo("UTC")

    @property
    def roles(self) -> list[HeldRole]:
        """Every role that the person holds, with the name of the study or site."""
        held = RoleGroup.objects.filter(group__user=self).prefetch_related("content_object").order_by("role", "pk")
        return [item.held for item in held]

    def held_roles(self) -> list[tuple[str, uuid.UUID]]:
        """Every role that the person holds, with the id of the study or site; in one query, however many they are."""

        def look_up() -> list[tuple[str, uuid.UUID]]:
            rows = RoleGroup.objects.filter(group__user=self).order_by("role", "pk").values_list("role", "object_id")
            held = list(rows)
            self.note_roles((f"{Role(role).scope}:{role}", str(object_id)) for role, object_id in held)
            return held

        return permissions.looked_up((self.pk, "roles"), look_up)

    def audit_scope(self) -> Scope:
        """What the person may read of the audit log."""
        if not self.is_active:
            return Scope()
        held = self.held_roles()

        def where(permission: permissions.Permission) -> frozenset[str]:
            allowed = permissions.ROLE_PERMISSIONS
            return frozenset(str(object_id) for role, object_id in held if permission in allowed[Role(role)])

        return Scope(
            studies=where(permissions.Permission.AUDIT_VIEW),
            sites=where(permissions.Permission.SITE_AUDIT_VIEW),
            platform=self.is_platform_admin,
            person=str(self.pk),
        )


class Site(models.Model):
    """A hospital or clinic."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=160, unique=True)
    short_name = models.SlugField(max_length=40, unique=True)
    city = models.CharField(max_length=80, blank=True)
    country = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        default_permissions = ()
        permissions = permissions.of_scope("site")
        constraints = [models.CheckConstraint(condition=~Q(name=""), name="accounts_site_named")]

    def __str__(self) -> str:
        return self.name


class SiteGroupObjectPermission(GroupObjectPermissionBase):
    """What a role's group may do at one site (read by guardian in place of its generic table)."""

    content_object = models.ForeignKey(Site, on_delete=models.CASCADE)

    class Meta(GroupObjectPermissionBase.Meta):
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.group}: {self.permission.codename}"


class RoleGroup(models.Model):
    """Which role in which study, or at which site, a group of people stands for.

    The group is named `study:<id>:pi` and holds the role's permissions on that one object (guardian).
    """

    group = models.OneToOneField(Group, on_delete=models.CASCADE, related_name="role_group")
    role = models.CharField(max_length=20)
    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, related_name="+")
    object_id = models.UUIDField()
    content_object = GenericForeignKey()

    class Meta:
        ordering = ["pk"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["content_type", "object_id", "role"], name="accounts_rolegroup_once"),
            models.CheckConstraint(condition=Q(role__in=[role.value for role in Role]), name="accounts_rolegroup_role"),
        ]

    def __str__(self) -> str:
        return self.group.name

    @property
    def held(self) -> HeldRole:
        role = Role(self.role)
        return HeldRole(role=role, kind=role.scope, id=self.object_id, name=str(self.content_object))


class SetupToken(models.Model):
    """The one-time token with which the first platform administrator signs up. Only its digest is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"setup token of {self.created_at:%Y-%m-%d %H:%M}"


class Session(AbstractBaseSession):
    """A browser's session, with whose it is, so that people see and end their own (`accounts.sessions`)."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, blank=True, related_name="+")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"session until {self.expire_date:%Y-%m-%d %H:%M}"

    @classmethod
    def get_session_store_class(cls) -> type[SessionStore]:
        from accounts.sessions import SessionStore as Store

        return Store


class ApiToken(AbstractAuthToken):
    """What a program shows the API, kept as a digest.

    With scopes it is a token that its owner made and named. Without them it is the session of somebody who signed in
    by the API: it may all that the person may, and is over within a day.
    """

    LONGEST = timedelta(days=90)
    LONGEST_SESSION = timedelta(days=1)

    objects: ClassVar[models.Manager[ApiToken]] = models.Manager()

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(max_length=128, unique=True)
    expiry = models.DateTimeField()
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="auth_token_set")
    name = models.CharField(max_length=80, blank=True)
    scopes = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=200, blank=True)
    aal = models.PositiveSmallIntegerField(default=1, help_text="How many factors the program showed to get it")

    class Meta:
        ordering = ["-created", "id"]
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(name="", scopes=[]) | (~Q(name="") & ~Q(scopes=[])), name="accounts_apitoken_named"
            ),
            models.CheckConstraint(
                condition=Q(scopes__contained_by=[scope.value for scope in TokenScope]), name="accounts_apitoken_scopes"
            ),
            models.CheckConstraint(
                condition=Q(expiry__lte=F("created") + timedelta(days=90)), name="accounts_apitoken_life"
            ),
            models.CheckConstraint(
                condition=~Q(scopes=[]) | Q(expiry__lte=F("created") + timedelta(days=1)),
                name="accounts_apitoken_session",
            ),
        ]

    def __str__(self) -> str:
        return self.name or "session of a program"

    @property
    def is_session(self) -> bool:
        return not self.scopes


class Invitation(models.Model):
    """A single-use link by which somebody new opens their account and gets a role. Only its digest is kept."""

    LIFE = timedelta(days=7)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(max_length=64, unique=True)
    email = models.EmailField()
    role = models.CharField(max_length=20)
    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, related_name="+")
    object_id = models.UUIDField()
    content_object = GenericForeignKey()
    invited_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "id"]
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(used_at=None) | Q(revoked_at=None), name="accounts_invitation_used_or_revoked"
            ),
            models.CheckConstraint(
                condition=Q(expires_at__lte=F("created_at") + timedelta(days=7)), name="accounts_invitation_life"
            ),
            models.CheckConstraint(
                condition=Q(role__in=[role.value for role in Role]), name="accounts_invitation_role"
            ),
        ]
        indexes = [models.Index(fields=["content_type", "object_id"], name="accounts_invitation_object")]

    def __str__(self) -> str:
        return f"invitation of {self.email}"

    @property
    def is_open(self) -> bool:
        """Whether the link still opens an account."""
        return self.used_at is None and self.revoked_at is None and self.expires_at > timezone.now()


class JoinCode(models.Model):
    """Who knows it may ask for a role in one study or at one site. It opens nothing by itself."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.CharField(max_length=32, unique=True)
    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, related_name="+")
    object_id = models.UUIDField()
    content_object = GenericForeignKey()
    created_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["content_type", "object_id"], condition=Q(ended_at=None), name="accounts_joincode_one_open"
            ),
        ]

    def __str__(self) -> str:
        return f"join code of {self.content_object}"


class AccessRequest(models.Model):
    """Somebody asks for a role in a study or at a site; who gives roles there decides."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="access_requests")
    role = models.CharField(max_length=20)
    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, related_name="+")
    object_id = models.UUIDField()
    content_object = GenericForeignKey()
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=12, default=REQUEST.initial)
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    answer = models.CharField(max_length=500, blank=True)
    decided_by = models.ForeignKey(User, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-asked_at", "id"]
        default_permissions = ()
        constraints = [
            REQUEST.check("accounts_accessrequest_state"),
            models.UniqueConstraint(
                fields=["person", "content_type", "object_id"],
                condition=Q(state="asked"),
                name="accounts_accessrequest_one_open",
            ),
            models.CheckConstraint(
                condition=Q(role__in=[role.value for role in Role]), name="accounts_accessrequest_role"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="accounts_accessrequest_reason"),
            models.CheckConstraint(
                condition=Q(state__in=["accepted", "refused"], decided_by__isnull=False, decided_at__isnull=False)
                | Q(state__in=["asked", "withdrawn"], decided_by=None, decided_at=None),
                name="accounts_accessrequest_decided",
            ),
        ]
        indexes = [models.Index(fields=["content_type", "object_id", "state"], name="accounts_request_object")]
        triggers = [REQUEST.trigger()]

    def __str__(self) -> str:
        return f"request of {self.person}"


class Identity(models.Model):
    """Who a person is at the provider of single sign-on: an issuer's name for them, and never an e-mail address."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=300)
    subject = models.CharField(max_length=255)
    email = models.CharField(max_length=254, blank=True, help_text="As the provider had it")
    linked_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["linked_at", "id"]
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="accounts_identity_once")]

    def __str__(self) -> str:
        return self.email or self.subject
