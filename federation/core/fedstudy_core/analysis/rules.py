"""The rules of the static analysis: category, risk and words of each. `{what}` is what was found in the source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fedstudy_core.analysis.findings import Category, Finding, Risk

C, R = Category, Risk


@dataclass(frozen=True)
class Rule:
    """What a rule's findings say."""

    category: Category
    risk: Risk
    words: str


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "FILE_READ": Rule(C.FILE, R.MEDIUM, "Reads files by itself (“{what}”), not through the node's interface."),
        "FILE_DATASET": Rule(C.FILE, R.LOW, "Opens the dataset's file by itself (“{what}”)."),
        "FILE_WRITE": Rule(C.FILE, R.MEDIUM, "Writes, moves or deletes files (“{what}”)."),
        "FILE_LOOK": Rule(C.FILE, R.MEDIUM, "Looks around among files and folders (“{what}”)."),
        "FILE_SYSTEM": Rule(C.FILE, R.HIGH, "Names a place outside of its own folder (“{what}”)."),
        "NETWORK_MODULE": Rule(C.NETWORK, R.HIGH, "Imports “{what}”, which opens network connections."),
        "NETWORK_CALL": Rule(C.NETWORK, R.HIGH, "Opens network connections (“{what}”)."),
        "NETWORK_DOWNLOAD": Rule(C.NETWORK, R.MEDIUM, "Fetches data or models from the network (“{what}”)."),
        "NETWORK_ADDRESS": Rule(C.NETWORK, R.MEDIUM, "Hands the address of another machine to a call (“{what}”)."),
        "PROCESS_MODULE": Rule(C.PROCESS, R.HIGH, "Imports “{what}”, which starts or controls other processes."),
        "PROCESS_START": Rule(C.PROCESS, R.HIGH, "Starts or controls other processes (“{what}”)."),
        "PROCESS_LINGERS": Rule(C.PROCESS, R.MEDIUM, "Starts work that may go on after the answer (“{what}”)."),
        "PROCESS_HOOK": Rule(C.PROCESS, R.MEDIUM, "Has code called later, or ends the process (“{what}”)."),
        "PROCESS_ENVIRONMENT": Rule(C.PROCESS, R.MEDIUM, "Reads or changes the environment (“{what}”)."),
        "PROCESS_OTHER": Rule(C.PROCESS, R.LOW, "Asks the operating system (“{what}”)."),
        "DYNAMIC_CODE": Rule(C.DYNAMIC, R.HIGH, "Runs code that is made at run time (“{what}”)."),
        "DYNAMIC_IMPORT": Rule(C.DYNAMIC, R.HIGH, "Loads modules by names made at run time (“{what}”)."),
        "DYNAMIC_INTERNALS": Rule(C.DYNAMIC, R.HIGH, "Reaches into Python's own machinery (“{what}”)."),
        "DYNAMIC_DETOUR": Rule(C.DYNAMIC, R.HIGH, "Reaches a module by way of another one (“{what}”)."),
        "DYNAMIC_PATCH": Rule(C.DYNAMIC, R.HIGH, "Replaces a part of a library while it runs (“{what}”)."),
        "DYNAMIC_ATTRIBUTE": Rule(C.DYNAMIC, R.MEDIUM, "Takes something by a name made at run time (“{what}”)."),
        "DYNAMIC_SCOPE": Rule(C.DYNAMIC, R.MEDIUM, "Reads or changes names wholesale (“{what}”)."),
        "NATIVE_MODULE": Rule(C.NATIVE, R.HIGH, "Imports “{what}”, which calls machine code."),
        "NATIVE_CALL": Rule(C.NATIVE, R.HIGH, "Loads or builds machine code (“{what}”)."),
        "DESERIALISE_MODULE": Rule(
            C.DESERIALISATION, R.HIGH, "Imports “{what}”, which reads formats that can run code."
        ),
        "DESERIALISE": Rule(C.DESERIALISATION, R.HIGH, "Reads a format that can run code (“{what}”)."),
        "DESERIALISE_WEIGHTS": Rule(
            C.DESERIALISATION, R.LOW, "Reads weights in torch's format, code excluded (“{what}”)."
        ),
        "OBFUSCATED_BLOB": Rule(C.OBFUSCATION, R.HIGH, "Holds a long encoded text that nobody can read ({what})."),
        "OBFUSCATED_NUMBERS": Rule(C.OBFUSCATION, R.MEDIUM, "Holds a long list of bytes written as numbers ({what})."),
        "OBFUSCATED_DECODING": Rule(
            C.OBFUSCATION, R.MEDIUM, "Decodes or unpacks what a reader does not see (“{what}”)."
        ),
        "OBFUSCATED_NAME": Rule(C.OBFUSCATION, R.HIGH, "Builds the word “{what}” from pieces."),
        "OBFUSCATED_CHARACTERS": Rule(C.OBFUSCATION, R.HIGH, "Builds text from character codes (“{what}”)."),
        "OBFUSCATED_IDENTIFIER": Rule(
            C.OBFUSCATION, R.MEDIUM, "Uses letters that look like others in a name (“{what}”)."
        ),
        "OBFUSCATED_CODING": Rule(
            C.OBFUSCATION, R.HIGH, "Is written in the coding “{what}”, so what runs differs from what is shown."
        ),
        "OBFUSCATED_LINE": Rule(C.OBFUSCATION, R.LOW, "Has a very long line ({what} characters)."),
        "OBFUSCATED_SHADOW": Rule(
            C.OBFUSCATION, R.HIGH, "Takes the name of a library or of a start-up file (“{what}”)."
        ),
        "UNREADABLE": Rule(C.OBFUSCATION, R.HIGH, "Nothing could be read in this file: {what}."),
        "FLOWER_SERVER_SIDE": Rule(
            C.FLOWER, R.MEDIUM, "Brings server-side code into what runs at the site (“{what}”)."
        ),
        "FLOWER_MESSAGE": Rule(C.FLOWER, R.MEDIUM, "Answers messages that it does not declare (“{what}”)."),
        "FLOWER_RECORD": Rule(
            C.FLOWER, R.MEDIUM, "Returns a record under a name that FedStudy does not know (“{what}”)."
        ),
        "FLOWER_METRIC": Rule(C.FLOWER, R.MEDIUM, "Returns a metric that it does not declare (“{what}”)."),
        "FLOWER_TEXT": Rule(C.FLOWER, R.MEDIUM, "Makes a record that can carry any text or bytes (“{what}”)."),
        "FLOWER_STATE": Rule(C.FLOWER, R.MEDIUM, "Keeps things from one message to the next (“{what}”)."),
        "FLOWER_CONFIG_PATH": Rule(C.FLOWER, R.HIGH, "Makes a path of what the run or a message says (“{what}”)."),
        "FLOWER_DEPENDENCY": Rule(C.FLOWER, R.MEDIUM, "Depends on “{what}”, which is none of the known libraries."),
        "FLOWER_DEPENDENCY_ADDRESS": Rule(C.FLOWER, R.HIGH, "Depends on code from an address or a folder (“{what}”)."),
        "FLOWER_IMPORT": Rule(C.FLOWER, R.MEDIUM, "Imports “{what}”, which is none of the known libraries."),
        "FLOWER_IMPORT_TIME": Rule(C.FLOWER, R.LOW, "Runs as soon as the file is loaded (“{what}”)."),
    }
)


def finding(rule: str, path: str, line: int, what: str) -> Finding:
    """A finding of a rule; what was found is cut to a readable length."""
    known = RULES[rule]
    shown = what if len(what) <= 80 else f"{what[:77]}…"
    return Finding(path, max(line, 1), known.category, known.risk, rule, known.words.format(what=shown))
