"""Services of a host: health, and which of them a change asks to restart."""
