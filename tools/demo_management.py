# SPDX-License-Identifier: LGPL-2.1-or-later
"""The third part of the demo: host1's service is asked by management clients that know nothing of
Resilver: Debian's wsl over WS-Management, Debian's wbemcli over CIM-XML. Each calls Resynchronize of
Msvm_ReplicationService, and polls the job to its end."""
import os
import re
import secrets
import subprocess
import time

from demo_base import MIB, START_S, DemoError, end_process, say
from demo_service import VM, VM_ID

USER = "alice"
SPACE = "root/virtualization/v2"
DMTF = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
SERVICE = "Msvm_ReplicationService"
SERVICE_KEYS = {"SystemCreationClassName": "Msvm_ComputerSystem", "SystemName": "host1",
                "CreationClassName": SERVICE, "Name": "replicasvc"}
VM_KEYS = {"CreationClassName": "Msvm_ComputerSystem", "Name": VM_ID.upper()}
COMPLETED = "7"
STATES = {"2": "new", "3": "starting", "4": "running", "7": "completed", "8": "terminated",
          "10": "exception"}
DAMAGE = (("system.raw", 80, 6), ("data.raw", 32, 6))
JOB_S = 60


def epr(class_name, keys):
    """An endpoint reference, one element a line, as wsl wants it."""
    selectors = "\n".join(f'<wsman:Selector Name="{name}">{value}</wsman:Selector>'
                          for name, value in {"__cimnamespace": SPACE, **keys}.items())
    return (f"<wsa:EndpointReference>\n<wsa:Address>{ANONYMOUS}</wsa:Address>\n"
            f"<wsa:ReferenceParameters>\n<wsman:ResourceURI>{DMTF}{class_name}</wsman:ResourceURI>\n"
            f"<wsman:SelectorSet>\n{selectors}\n</wsman:SelectorSet>\n</wsa:ReferenceParameters>\n"
            "</wsa:EndpointReference>\n")


def keys_text(keys):
    return ",".join(f'{name}="{value}"' for name, value in keys.items())


class Management:
    """On host1, beside its service. Use as a context."""

    def __init__(self, service, gateway):
        self.service = service
        self.gateway = gateway
        self.password = secrets.token_hex(8)
        self.process = None
        ports = service.gateway_ports
        self.wsman, self.cimxml = f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}"
        self.base = f"http://{USER}:{self.password}@{self.cimxml}/{SPACE}"

    def __enter__(self):
        command = ("resilver", "gateway", "user", "add", USER, "--role=operator",
                   "--password-stdin", "--config=host1/resilver.conf")
        self.service.print_command("host1", *command)
        with subprocess.Popen([*self.service.network.inside("host1"), *command],
                              cwd=self.service.folder, env=self.service.environment("host1"),
                              stdin=subprocess.PIPE) as process:
            process.communicate((self.password + "\n").encode())
        self.service.finish(process)
        self.service.print_command("host1", "resilver-gateway", "--config=host1/resilver.conf")
        with open(os.path.join(self.service.folder, "host1", "gateway.log"), "wb") as log:
            self.process = self.service.start("host1", self.gateway,
                                              "--config=host1/resilver.conf", stdout=log,
                                              stderr=log, start_new_session=True)
        return self

    def __exit__(self, *_error):
        if self.process:
            end_process(self.process)

    # --- clients ---

    def run(self, *command, secret=True, shown=True):
        """What a client printed; the password is not shown."""
        if shown:
            words = [word.replace(self.password, "...") if secret else word for word in command]
            self.service.print_command("host1", *words)
        env = {**self.service.environment("host1"), "WSENDPOINT": self.wsman, "WSUSER": USER,
               "WSPASS": self.password, "WSNOSSL": "1", "KEEPHISTORY": "0", "WSAUTOMATED": "1",
               "HOME": self.service.folder, "TERM": "dumb"}
        done = subprocess.run([*self.service.network.inside("host1"), *command],
                              cwd=self.service.folder, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        printed = done.stdout.decode(errors="replace")
        return done.returncode, printed

    def wait_ready(self):
        deadline = time.monotonic() + START_S
        while self.run("wslid", "check", shown=False)[0] != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(os.path.join(self.service.folder, "host1", "gateway.log"),
                          encoding="utf-8") as log:
                    raise DemoError(f"resilver-gateway does not answer:\n{log.read()}")

    @staticmethod
    def found(pattern, printed):
        match = re.search(pattern, printed)
        if not match:
            raise DemoError(f"the client did not print what it should:\n{printed}")
        return match.group(1)

    def poll(self, state_of):
        """Until the job's end; each state that it is seen in, once."""
        deadline = time.monotonic() + JOB_S
        seen = None
        while True:
            state, percent = state_of()
            if (state, percent) != seen:
                say(f"  JobState {state} ({STATES.get(state, 'another')}), PercentComplete {percent}")
                seen = (state, percent)
            if state == COMPLETED:
                return
            if state not in ("2", "3", "4") or time.monotonic() > deadline:
                raise DemoError(f"the job is in state {state}")
            time.sleep(0.5)

    def write(self, name, text):
        with open(os.path.join(self.service.folder, name), "w", encoding="utf-8") as file:
            file.write(text)
        return name

    # --- the play ---

    def damage(self):
        for name, at, count in DAMAGE:
            self.service.show("host2", "dd", "if=/dev/urandom",
                              f"of={self.service.replica('host2', name)}", "bs=1M", f"seek={at}",
                              f"count={count}", "conv=notrunc,fsync", "status=none")
        self.service.compare("host2", 1)

    def prove(self, job):
        self.service.compare("host2", 0)
        self.service.show("host1", "resilver", "job", "show", job.lower())

    def by_wsman(self):
        service = self.write("service-epr.xml", epr(SERVICE, SERVICE_KEYS))
        vm = self.write("vm-epr.xml", epr("Msvm_ComputerSystem", VM_KEYS))
        say("  (service-epr.xml and vm-epr.xml name the service and the VM, as 'wslenum ... -m "
            "epr' shows them)")
        _, printed = self.run("wslinvoke", DMTF + SERVICE, "Resynchronize",
                              f"ComputerSystem=FILE:{vm}", "-i", service)
        say("  ReturnValue " + self.found(r"ReturnValue>(4096)<", printed))
        job = self.found(r'Name="InstanceID">([^<]+)<', printed)
        say(f"  Job Msvm_ConcreteJob.InstanceID={job}")
        command = ("wslget", DMTF + "Msvm_ConcreteJob", f"__cimnamespace={SPACE}",
                   f"InstanceID={job}")
        self.service.print_command("host1", *command)

        def state_of():
            _, told = self.run(*command, shown=False)
            return (self.found(r"JobState>(\d+)<", told),
                    self.found(r"PercentComplete>(\d+)<", told))
        self.poll(state_of)
        self.prove(job)

    def by_cimxml(self):
        _, printed = self.run(
            "wbemcli", "cm", f"{self.base}:{SERVICE}.{keys_text(SERVICE_KEYS)}",
            f"Resynchronize.ComputerSystem=Msvm_ComputerSystem.{keys_text(VM_KEYS)}")
        say("  ReturnValue " + self.found(r"Resynchronize: (4096)", printed))
        job = self.found(r'Msvm_ConcreteJob\.InstanceID="([^"]+)"', printed)
        say(f"  Job Msvm_ConcreteJob.InstanceID={job}")
        command = ("wbemcli", "-nl", "gi", f'{self.base}:Msvm_ConcreteJob.InstanceID="{job}"',
                   "JobState,PercentComplete")
        self.service.print_command("host1", *[word.replace(self.password, "...")
                                              for word in command])

        def state_of():
            _, told = self.run(*command, shown=False)
            return self.found(r"-JobState=(\d+)", told), self.found(r"-PercentComplete=(\d+)", told)
        self.poll(state_of)
        self.prove(job)

    def play(self):
        self.wait_ready()
        say(f"\nhost2: its replica is damaged again, {sum(each[2] for each in DAMAGE)} MiB.")
        self.damage()
        say(f"\nhost1: Resynchronize of {VM} over WS-Management, by Debian's wsl.")
        self.by_wsman()
        say("\nhost2: and once more damaged.")
        self.damage()
        say(f"\nhost1: Resynchronize of {VM} over CIM-XML, by Debian's wbemcli.")
        self.by_cimxml()
        say("\nWho did what is in the gateway's audit log:")
        self.service.show("host1", "tail", "-n", "2", "host1/audit.log")
