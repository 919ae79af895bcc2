"""Checks as JUnit XML, which build servers show: a suite for each category, a case for each check.

Format: the common subset that such servers read, https://github.com/testmoapp/junitxml
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from greenfield.assurance.verify import Check

_UNWRITABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML document may hold, not even escaped: https://www.w3.org/TR/xml/#charsets"""


def document(platform: str, checks: Sequence[Check]) -> bytes:
    """The whole report. What was skipped, or is not enforced here, is a skipped case and never a passed one."""
    root = Element("testsuites", {"name": f"verify {platform}", **_sums(checks)})
    for category in dict.fromkeys(check.category for check in checks):
        of_it = [check for check in checks if check.category == category]
        suite = SubElement(root, "testsuite", {"name": category, **_sums(of_it)})
        for check in of_it:
            suite.append(_case(check))
    indent(root)
    report: bytes = tostring(root, "utf-8", xml_declaration=True)
    return report


def _sums(checks: Sequence[Check]) -> dict[str, str]:
    return {
        "tests": str(len(checks)),
        "failures": str(sum(check.ok is False for check in checks)),
        "skipped": str(sum(check.ok is None for check in checks)),
        "time": f"{sum(check.seconds for check in checks):.3f}",
    }


def _case(check: Check) -> Element:
    about = f"{check.source} → {check.target}"
    case = Element("testcase", name=_written(check.name), classname=_written(about), time=f"{check.seconds:.3f}")
    told = _written(f"expected {check.expected}; {check.observed}")
    if check.ok is None:
        SubElement(case, "skipped", message=told)
    elif not check.ok:
        SubElement(case, "failure", message=told)
    return case


def _written(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)
