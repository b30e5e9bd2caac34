"""The states of webhooks and of their deliveries."""

from audit.states import StateTable

WEBHOOK = StateTable(name="webhook", initial="active", moves={"active": {"disabled"}, "disabled": {"active"}})
DELIVERY = StateTable(
    name="delivery",
    initial="waiting",
    moves={"waiting": {"delivered", "failed"}, "delivered": {"waiting"}, "failed": {"waiting"}},
)
