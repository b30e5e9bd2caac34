"""Python client for principal investigators who script their FedStudy studies.

from fedstudy_client import FedStudy

portal = FedStudy("https://fedstudy.example.org").login("pi@example.org", password)
for study in portal.studies.list():
    print(study.title, study.state)
"""

from fedstudy_client.client import FedStudy
from fedstudy_client.problem import FedStudyProblem, FieldProblem
from fedstudy_client.records import (
    AccessRequest,
    Approval,
    Dataset,
    Dictionary,
    DictionaryDraft,
    DictionaryReading,
    Enrolment,
    Event,
    Invitation,
    LibraryScript,
    Member,
    Node,
    Person,
    Protocol,
    Release,
    Run,
    Schedule,
    Script,
    SetUp,
    Site,
    Study,
    Token,
    Version,
)
from fedstudy_client.records_news import Delivery, Notification, Webhook
from fedstudy_client.records_review import Changes, Checklist, Comment, Thread
from fedstudy_client.rounds import Rounds

__all__ = [
    "AccessRequest",
    "Approval",
    "Changes",
    "Checklist",
    "Comment",
    "Dataset",
    "Delivery",
    "Dictionary",
    "DictionaryDraft",
    "DictionaryReading",
    "Enrolment",
    "Event",
    "FedStudy",
    "FedStudyProblem",
    "FieldProblem",
    "Invitation",
    "LibraryScript",
    "Member",
    "Node",
    "Notification",
    "Person",
    "Protocol",
    "Release",
    "Rounds",
    "Run",
    "Schedule",
    "Script",
    "SetUp",
    "Site",
    "Study",
    "Thread",
    "Token",
    "Version",
    "Webhook",
]
