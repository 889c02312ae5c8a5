"""WHAT LEAVES: what happened is told to webhooks, message by message, until each is delivered or given up."""
