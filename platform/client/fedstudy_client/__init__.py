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
    Delivery,
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
    Webhook,
)

__all__ = [
    "AccessRequest",
    "Approval",
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
    "Person",
    "Protocol",
    "Release",
    "Run",
    "Schedule",
    "Script",
    "SetUp",
    "Site",
    "Study",
    "Token",
    "Version",
    "Webhook",
]
