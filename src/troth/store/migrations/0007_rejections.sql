-- Rejections also come from imports and from commands: which line it was, which command.

alter table rejections
    add column line    bigint check (line > 0),  -- of an import's file
    add column command text;  -- what was called, as the API's description names it; null: an event was sent
