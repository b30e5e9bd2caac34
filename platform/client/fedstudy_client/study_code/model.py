"""The file that describes a study, as it is written. Its JSON Schema is shipped beside this module."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    WithJsonSchema,
)

SCHEMA_FILE = "study.schema.json"
MAX_VARIABLES = 2000


def _scalar(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise ValueError("a number, a text, true or false")
    return value


Value = Annotated[Any, AfterValidator(_scalar), WithJsonSchema({"type": ["integer", "number", "string", "boolean"]})]
Number = Annotated[float, Field(allow_inf_nan=False)]
CodeValue = Annotated[str | int, WithJsonSchema({"type": ["string", "integer"]})]
SpecialValue = Annotated[str | int | Number, WithJsonSchema({"type": ["string", "integer", "number"]})]
Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Code(_Part):
    """One value of a categorical variable."""

    value: CodeValue
    label: str = ""


class Variable(_Part):
    """One column of the sites' datasets."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
    label: str = ""
    type: Literal["integer", "number", "categorical", "boolean", "date", "text"]
    unit: str = ""
    codes: Annotated[list[Code], Field(max_length=1000, description="The values of a categorical variable.")] = []
    min: Annotated[Number | None, Field(description="The least plausible value.")] = None
    max: Annotated[Number | None, Field(description="The greatest plausible value.")] = None
    required: Annotated[bool, Field(description="Whether every row has a value.")] = True
    implausible: Annotated[
        list[SpecialValue], Field(description="Values that stand for “not measured”, such as a cholesterol of 0.")
    ] = []
    identifier: Annotated[bool, Field(description="Names a patient; no script ever sees it.")] = False


class Words(_Part):
    """What the study is."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    id: Annotated[str | None, Field(description="Of a study that exists; found by its title without it.")] = None
    summary: Annotated[str | None, Field(max_length=5_000)] = None
    aims: Annotated[str | None, Field(max_length=20_000)] = None
    protocol: Annotated[
        str | None, Field(description="The protocol (PDF, DOCX, ODT or text), relative to this file.")
    ] = None


class PersonInRole(_Part):
    """Somebody with an account at the portal, and a role in the study."""

    email: Text
    role: Literal["pi", "co_investigator", "auditor"]


class InvitedSite(_Part):
    """A site that is to take part, by the name that the portal knows it by."""

    name: Text
    level: Annotated[str, Field(description="The level that its invitation proposes: F0, F1 or F2.")] = "F2"


class ScriptSource(_Part):
    """A script: of the portal's library, or a Flower app (its folder, or a .fab file) relative to this file."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
    library: Text | None = None
    path: Text | None = None
    replaces_previous: Annotated[
        bool, Field(description="A site's approval of the version before ends when the site signs the new one.")
    ] = True


class PlannedRun(_Part):
    """A run. Its plan never changes once it is made: another plan is another run, with another label."""

    label: Annotated[str, Field(min_length=1, max_length=120)]
    script: Text
    strategy: Annotated[Text | None, Field(description="fedavg; own-server where the script leads itself.")] = None
    strategy_parameters: dict[str, Value] = {}
    config: Annotated[dict[str, Value], Field(description="Values of the script's parameters.")] = {}
    rounds: Annotated[int, Field(ge=1)] = 10
    exchanges: Annotated[int, Field(ge=1, description="In place of rounds where the script leads itself.")] = 100
    sites: Annotated[list[Text] | None, Field(min_length=1, description="All sites of the study without it.")] = None
    validators: Annotated[
        list[Text], Field(description="Those of the sites that only test the model, though their level allows more.")
    ] = []
    quorum: Annotated[
        int | None, Field(ge=1, description="Answers that a round needs of the sites that train; all without it.")
    ] = None
    deadline_s: Annotated[int, Field(ge=1)] = 600
    wait_s: Annotated[int, Field(ge=0)] = 60
    priority: Literal["low", "normal", "high"] = "normal"
    transport: Literal["float32", "float16"] = "float32"
    metric: Annotated[str | None, Field(description="By which the best round is chosen.")] = None
    better: Literal["higher", "lower"] | None = None
    patience: Annotated[int, Field(ge=0)] = 0
    min_delta: Annotated[Number, Field(ge=0)] = 0.0


Variables = Annotated[list[Variable], Field(min_length=1, max_length=MAX_VARIABLES)]


def _dictionary_kind(value: Any) -> str:
    return "none" if value is None else "file" if isinstance(value, str) else "variables"


class StudyFile(_Part):
    """A study, from its words to its runs."""

    study: Words
    people: list[PersonInRole] = []
    dictionary: Annotated[
        Annotated[Text, Tag("file")] | Annotated[Variables, Tag("variables")] | Annotated[None, Tag("none")],
        Field(description="The study's variables, or a file (JSON or YAML) with them."),
        Discriminator(_dictionary_kind),
    ] = None
    sites: list[InvitedSite] = []
    scripts: list[ScriptSource] = []
    runs: list[PlannedRun] = []


VARIABLES: TypeAdapter[list[Variable]] = TypeAdapter(Variables, config=ConfigDict(title="Data dictionary"))


def schema() -> str:
    """The JSON Schema of the file."""
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema", **StudyFile.model_json_schema()}
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"
