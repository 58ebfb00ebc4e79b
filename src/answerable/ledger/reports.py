"""What is said in the report log, and by whom.

| type | one signer, who is | says |
|---|---|---|
| `report` | the host it names | what became of one change |
| `observation` | an observer | what it saw of a host after a change |
| `finding` | an observer or planner | something that people should look at |
| `outcome` | a planner | how a rollout ended |
| `decision` | a planner or person | also the decision not to patch, with owner and date |
| `drill` | an observer, planner or person | a commitment first, what it was afterwards |

Records are those of the authority log (kernel/statement.py) with other shapes; a host signs with
the key of its enrolment record. Left out: what reports mean together (observe, evidence).
"""

from collections.abc import Mapping

from answerable.kernel.canon import Json, shape
from answerable.kernel.charter import Signatory
from answerable.kernel.errors import demand
from answerable.kernel.note import Key
from answerable.kernel.statement import Statement, open_statement

_HOST = "notice:hex order:hex change:id host:id "
REPORT: Mapping[str, Json] = {
    "report": shape(
        _HOST + "type:id reason:text detail:text caused_by:id? seq:int started:int ended:int",
        result=("succeeded", "failed", "refused", "outcome_unknown"),
        observed={"*": "text"},
    ),
    "observation": shape(_HOST + "saw:any time:int", result=("succeeded", "failed", "unreachable")),
    "finding": shape("kind:id subject:text detail:text time:int"),
    "outcome": shape("notice:hex state:id detail:text time:int"),
    "decision": shape("subject:text state:id owner:id reason:text until:int time:int"),
    "drill": shape("commitment:hex reveal:text time:int"),
}
SIGNERS: Mapping[str, frozenset[str]] = {
    "report": frozenset({"host"}),
    "observation": frozenset({"observer"}),
    "finding": frozenset({"observer", "planner"}),
    "outcome": frozenset({"planner"}),
    "decision": frozenset({"planner", "person"}),
    "drill": frozenset({"observer", "planner", "person"}),
}


def open_report(entry: bytes, owners: Mapping[Key, Signatory]) -> Statement:
    """Open an entry of the report log; `owners` says whose keys count, hosts as ("host", id).

    Raises:
        Refused: `too_large`, `malformed`, `bad_signature`, `no_user_verification`,
            `unknown_record`, or `not_admissible` if its signer may not say this.
    """
    said = open_statement(entry, REPORT, owners)
    demand(said.known, "unknown_record", f"`{said.kind}` is no type of the report log")
    kinds = {kind for kind, _ in said.signers}
    may = len(said.signers) == 1 and kinds <= SIGNERS[said.kind]
    wanted = " or ".join(sorted(SIGNERS[said.kind]))
    demand(may, "not_admissible", f"`{said.kind}` must be signed by one {wanted} alone")
    if said.kind == "report":
        own = said.one("host") == said.body["host"]
        demand(own, "not_admissible", f"`{said.one('host')}` reports for `{said.body['host']}`")
    return said
