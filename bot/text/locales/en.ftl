# What people read, in English. Names are the same in every language; a test compares them.

label-hate = hate
label-offensive = offensive
label-neutral = neutral

kind-swearing = swearing
kind-insult = insult
kind-threat = threat
kind-sexual = sexual harassment
kind-slur = slur
kind-dehumanising = dehumanising

action-alert = shown to moderators
action-warn = warn
action-delete = delete
action-timeout = timeout for { $minutes ->
    [one] 1 minute
   *[other] { $minutes } minutes
}
action-kick = kick
action-ban = ban for good
action-ban-hours = ban for { $hours ->
    [one] 1 hour
   *[other] { $hours } hours
}

# Cards
card-title = { $label } { $score } %
card-title-unread = could not be read by the model
card-title-wordless = nothing to read in it
card-title-not-read = not read ({ $script })
card-title-neutral = a closer look ({ $score } % harm)
card-reports = { $count ->
    [one] One member has reported this.
   *[other] { $count } members have reported this.
}
card-footer = case { $case } · { $adapter }
card-author = Author
card-where = Where
card-why = Why
card-said = Moderators
card-jump = to the message
card-nobody = not known
why-alert = { $label }: { $score } %, at or above the alert threshold of { $threshold } %.
why-action = { $label }: { $score } %, at or above the action threshold of { $threshold } %.
why-clear = Below every threshold ({ $score } % harm), so I did not show it by myself.
why-not-read = Not read ({ $script }): the model does not know this script, so nothing is said or done about it.
why-example = Written by a moderator as an example.
why-unread = The model could not read it: please judge it yourselves.
why-wordless = There are no words in it that could be read: please look at it yourselves.
why-name = It is a name. Names are only shown.
why-title = It is a title. Titles are only shown.
why-quoted = The author only quotes it. I never punish for a quote.
why-stand-in = The stand-in model scored it. I never punish by its scores.
why-language = I am not good enough at this language, so I only show it.
why-old = I read it more than an hour late, so I only show it.
why-disguised = I see it only after undoing a disguise, so I only show it.
why-moderator = A moderator wrote it, so I only show it.
why-bot = A bot or webhook wrote it, so only the message can be removed.
why-strike = The author has had a case before: one action more.
why-flood = It is the author's fifth or later within a minute: a timeout more.
why-cap = Acting is paused here: I acted on too many members within an hour.
why-held = A moderator has decided about these words before.
why-alert-only = This kind of message is only shown here.
card-edited = Edited since. The new text changes nothing about this case.
card-edited-better = Edited since. I would not flag the new text.
done-nothing = Nothing was done to it.
done-shadow = Would have done: { $actions } (shadow mode).
done-paused = Would have done: { $actions } (acting is paused).
done-done = Done: { $actions }.
done-sent = Under way: { $actions }.
done-intended = Under way: { $actions }.
done-undoing = Being taken back: { $actions }.
done-failed = Not all of this was possible: { $actions }.
done-unsure = Whether this arrived is not known, so it was not repeated: { $actions }.
done-stopped = Not done, or not all of it, because acting was paused: { $actions }.
done-gone = { $actions }; message or author were gone already.
not-done-person = Not done: { $action }. Left as a person has set it: { $standing }.
not-done-bot = Not done again: { $action }. I had set as much for another message: { $standing }.
not-undone-person = Not taken back: { $action }. Left as a person has set it: { $standing }.
not-undone-bot = Taken back for this message: { $action }. What I have set for another message stands: { $standing }.
standing-limits = may not write everything until { $until }
standing-limits-for-good = may not write everything, without an end
standing-timeout = may not write until { $until }
standing-timeout-for-good = may not write, without an end
standing-ban = banned until { $until }
standing-ban-for-good = banned for good
standing-name = Not taken back: { $action }. The member has another name by now, so that stays.
standing-removed = Removed from the group instead of: { $action }. A basic group knows no bans, so they can come back.
said-right = 👍 correct ({ $label })
said-wrong = 👎 it is { $label }
said-undone = undone
state-open = open
state-confirmed = confirmed
state-corrected = corrected
state-undone = undone
button-right = 👍 Correct
button-wrong = 👎 Wrong label
button-undo = Undo
button-explain = Explain
button-back = Post it back
button-next = Go through them
digest-title = { $count ->
    [one] One message
   *[other] { $count } messages
} by { $authors ->
    [one] one author
   *[other] { $authors } authors
} { $count ->
    [one] needs a look
   *[other] need a look
}
digest-line = { $title } · { $state } · case { $case }
digest-more = … and { $count } more.
digest-through = Nothing in this digest is open any more.
digest-left = { $count ->
    [one] One more is open.
   *[other] { $count } more are open.
}

# What is in a message without words
attached-photo = photo
attached-video = video
attached-animation = animation
attached-audio = audio
attached-document = file
attached-voice = voice message
attached-video_note = video message
attached-sticker = sticker
attached-story = story
attached-paid_media = paid media
attached-live_photo = live photo
attached-dice = dice
attached-location = location
attached-game = game
attached-gift = gift
attached-unique_gift = gift
attached-unknown = of a kind I do not know
attached-giveaway = giveaway

# What a click came to
outcome-labelled = Recorded: { $label }.
outcome-agreed = Recorded: you agree that it is { $label }.
outcome-same = You have said so already.
outcome-teaches = The next refresh learns from it.
outcome-no-basis = It teaches nothing: there is no basis for that (see /learning).
outcome-undone = Undone; this teaches nothing.
outcome-nothing-to-undo = There was nothing to undo, or it was undone before.
outcome-taken-back = Taken back: { $actions }.
outcome-cannot = Cannot be taken back: { $actions }.
outcome-waiting = Will be taken back as soon as the platform answers: { $actions }.
outcome-posted-back = Posted back.
outcome-not-posted-back = It could not be posted ({ $error }). It can be tried again.
outcome-perhaps-posted-back = Telegram did not answer ({ $error }): look whether it was posted.
outcome-posted-before = It was posted back before.
which-label = What is it?
text-forgotten = The text is no longer kept.

# Explain
explain-words = These words speak for { $label } (how much less likely it is without them):
explain-no-words = No single word speaks for { $label }; only the whole text does.
explain-part = This part decided:
explain-near = { $share } % alike, called { $label } by a moderator:
explain-verdict = { $probabilities }.
explain-kind = Kind: { $kind }.
explain-language = Language: { $language }.
language-name = { $language ->
    [ar] Arabic
    [de] German
    [es] Spanish
    [fr] French
    [it] Italian
    [nl] Dutch
    [pl] Polish
    [pt] Portuguese
    [ru] Russian
    [und] unclear
   *[other] { $language }
  }
explain-not-stored = I have not read this message before: scored now, nothing is kept.
explain-nothing = There is no text in it that I read.

# Notices
notice-failed = A message could not be handled (journal row { $row }); the log says why.
notice-store-silent = I cannot write down what I do, so messages and actions wait until I can. Nothing is lost. For my operator: is the disk full, or does another program use the store?
notice-store-back = I can write again; what waited is being done.
notice-store-repaired = The store was repaired at this start: { $found }.
notice-no-backup = No backup of the store could be made ({ $error }). The older ones are still there; it is tried again.
breaker-open-here = { $calls } calls were refused within ten minutes, most of them here. Actions here wait { $minutes } more minutes; other communities do not wait. Which right is missing?
breaker-open = { $calls } calls were refused within ten minutes. I make no calls for { $minutes } more minutes, so that the platform does not block me; actions wait. Are rights missing?
notice-flood = More is being written than I can read. Everybody gets a turn, the busiest wait; nothing is lost, and what waits is read later.
notice-flood-over = What had to wait in the flood is being read now.
notice-unread = A message could not be read by the model. It is on a card, and nothing else was done: please look yourselves.
notice-unknown-kind = A message came whose kind I do not know ({ $kind }), so I could not read it. Please look at such messages yourselves; a newer version may read them. I say this once for each kind.
notice-classifier-silent = The classifier does not answer ({ $error }). Messages wait; nothing is punished meanwhile.
notice-classifier-back = The classifier answers again; waiting messages are being read.
notice-cap = { $members ->
        [one] One member
       *[other] { $members } different members
    } acted on within an hour, none of them new or with a case before: that looks like a model gone wrong. I stopped: from now on I only show. I go on by myself after an hour without such a message, or when you tell me to. Look at the last cases first.
notice-cap-over = An hour without such a message: I act again by the policy.
notice-cap-resumed = A moderator told me to go on: I act again by the policy.
page-paused = Acting is paused: too many members were acted on within an hour. Look at the last cards, then press “Go on acting”; or wait an hour.
page-no-platforms = This is the try-out chat alone. For Discord or Telegram put a bot's token into DOMOVOI_DISCORD_TOKEN or DOMOVOI_TELEGRAM_TOKEN and start again; docs/discord.md and docs/telegram.md have the steps.
flip-clear = left alone
flip-alert = { $label }, shown
flip-action = { $label }, acted on
audit-opened = { $count ->
    [one] One card of a random message was
   *[other] { $count } cards of random messages were
} added above: 👍 if neutral is right, 👎 if not.
audit-none = There are no more messages of the last 7 days to look at.
button-resume = Go on acting
resume-not-paused = Acting is not paused here.
notice-not-taken-back = Could not be taken back: { $action }. { $why }
notice-not-possible = Not possible: { $action }. { $why }
notice-lift = The ban of <@{ $member }> is over, but I cannot lift it. { $why }
notice-plain = { $text }
notice-rights =
    { $count ->
        [one] A right is missing:
       *[other] { $count } rights are missing:
    }
    { $list }
discord-connecting = Connecting to Discord.
discord-token = Discord refuses the token. Fix: make a new one under Bot in the Developer Portal and put it into DOMOVOI_DISCORD_TOKEN.
discord-intent = Discord does not let me read messages. Fix: turn on “Message Content Intent” under Bot in the Developer Portal.
discord-lost = The connection to Discord was lost ({ $error }); trying again.

# Discord
missing-right = I lack the right “{ $right }”{ $where }. Fix: { $fix }
missing-where = {" "}in { $channel }
missing-where-server = {" "}on this server
fix-role = Server Settings → Roles → { $role } → turn on “{ $right }”.
fix-channel = open the channel's settings → Permissions → { $role } → allow “{ $right }”.
fix-order = Server Settings → Roles: drag { $role } above the member's highest role.
missing-order = The member's highest role is not below mine. Fix: { $fix }
missing-immune = Discord lets nobody do that to the server's owner or to an administrator.
missing-name = A global name can only be changed by its owner; I can only reset nicknames.
missing-refused = Discord refused it ({ $code }: { $text }).
right-view_channel = View Channels
right-send_messages = Send Messages
right-send_messages_in_threads = Send Messages in Threads
right-embed_links = Embed Links
right-read_message_history = Read Message History
right-manage_messages = Manage Messages
right-moderate_members = Timeout Members
right-kick_members = Kick Members
right-ban_members = Ban Members
right-manage_nicknames = Manage Nicknames
right-manage_threads = Manage Threads
welcome = Hello! I am Domovoi, a moderator for **{ $server }**. I read messages, mark hate and offence, and show them to your moderators. I start in **shadow mode**: I touch nothing until you say `/mode enforce`.

    1. Run `/setup` on your server: a channel for my cards, who moderates, how strict.
    2. `/status` says whether I have the rights I need.
    3. After a day or two look at my cards, then decide about `/mode enforce`.

    {""}`/privacy` says what I keep.
warn-author = { $messages ->
        [one] Your message in { $room } ({ $server }) looks
       *[other] { $messages } messages of yours in { $room } ({ $server }) look
    } like hate or an insult to automatic moderation. Please mind the rules. If that is a mistake, tell a moderator; they can see and correct it.
warn-author-here = { $messages ->
        [one] { $author }, your message looks
       *[other] { $author }, { $messages } messages of yours look
    } like hate or an insult to automatic moderation. Please mind the rules. If that is a mistake, tell a moderator; they can see and correct it.
reason-action = Domovoi: automatic moderation of message { $message }
reason-undo = Domovoi: undone by a moderator
reason-lift = Domovoi: the ban is over
title-removed = (title removed)
posted-back = A moderator restored a message by { $author } that was removed by mistake:
not-allowed-moderator = Only moderators may do that: it takes “Manage Messages”, “Timeout Members”, or a moderator role from /setup.
not-allowed-manager = Only those who may “Manage Server” can do that.
not-here = This works on a server only.
not-allowed-beyond = I would do or lift what you may not do yourself. That takes { $rights }: somebody who has it has to decide.
case-hidden = That was written in a channel you cannot read. A moderator who can read it has to answer.
setup-room-is-read = Not saved: members have written in { $room }, and a channel that cards go to is not read any more. Choose another channel, or first put this one among those left alone.
no-case = There is no case { $case } on this server.
no-message = I cannot find that message. Give its link (Copy Message Link) or its id, and make sure I can see the channel.
not-answering = The model does not answer at the moment ({ $error }). Try again in a minute.
broken = Something went wrong on my side; the operator's log says what. It may have worked all the same: look before you repeat it.
status-title = Domovoi on { $server }
status-mode-shadow = Mode: **shadow**. I decide and show, and touch nothing.
status-mode-enforce = Mode: **enforce**. I act by the policy.
status-mode-paused = Mode: **enforce, but paused**: too many members were acted on within an hour, so I only show. I go on by myself after an hour without such a message; `/mode enforce` goes on now.
status-model = Model: { $adapter }.
status-counts = Last 24 hours: messages read { $seen }, cards { $cases }, answered { $answered }, acted on { $acted }.
status-not-read = { $count ->
        [one] { $count } of these messages was not read: the model does not know its script.
       *[other] { $count } of these messages were not read: the model does not know their script.
    }
status-languages = Beside English I read { $languages }. In any other language I only show.
status-alerts = Cards go to { $room }.
status-no-alerts = Cards go nowhere yet: run `/setup` and choose a channel.
status-rights-fine = I have every right I need.
status-trouble = Trouble: { $text }
health-outage = Not connected since { $since }; failed { $count ->
    [one] once
   *[other] { $count } times
}. What is written meanwhile is read later.
health-cards = { $count ->
    [one] One card waits
   *[other] { $count } cards wait
} since { $since }: refused, or not answered. I try again.
health-rooms = { $count ->
    [one] One channel could not be read back yet
   *[other] { $count } channels could not be read back yet
} (seen at { $since }). I try again.
health-messages = { $count ->
    [one] One message could not be read and was skipped
   *[other] { $count } messages could not be read and were skipped
} since { $since }; the log says why.
health-events = { $count ->
    [one] One event could not be understood
   *[other] { $count } events could not be understood
} since { $since }; where it was about messages, the channel is read again.
health-commands = Discord does not take my commands since { $since }; the old ones work, and I try again.
health-updates = { $count ->
    [one] One update could not be handled and was dropped
   *[other] { $count } updates could not be handled and were dropped
} since { $since }; the log says why.
mode-set-shadow = Shadow mode: from now on I decide and show, and touch nothing.
mode-set-enforce = Enforce: from now on I act by the policy. `/mode shadow` goes back.
policy-line = { $label }: cards from { $alert } %, action from { $act } % ({ $actions }).
policy-names = Names and titles: cards from { $alert } %, never more.
policy-kind-ignore = { $kind }: ignored.
policy-kind-alert-only = { $kind }: only shown.
policy-no-action = nothing more than a card
policy-preset = Preset: **{ $preset }**.
policy-own = Preset: none, own numbers.
policy-exempt = Left alone: { $what }.
policy-exempt-none = Left alone: nobody and nothing.
policy-which-label = Which label? Say it as well: `/policy label:hate alert:60`.
policy-which-rule = Which kind, and what about it? Say both: `/policy kind:swearing rule:ignore`.
policy-bad = That does not fit: { $error }.
preset-relaxed = relaxed
preset-standard = standard
preset-strict = strict
preset-own = own numbers
preview-title = Of the last { $count } messages in { $room }: { $cards } would have made a card, { $acted } would have been acted on. Nothing of this is kept.
preview-none = There are no messages in { $room } that I can read.
preview-line = { $label } { $score } % ({ $actions })
setup-title = **Set-up.** Choose, then Save. Everything can be changed later.
setup-alerts = Channel for cards
setup-moderators = Roles that moderate
setup-exempt-roles = Roles that are left alone
setup-exempt-rooms = Channels that are left alone
setup-preset = How strict
setup-now = Cards: { $alerts } · moderators: { $moderators } · left alone: { $exempt } · preset: { $preset } · language: { $language } · warnings: { $warn }
setup-none = none
setup-saved = Saved. I am in { $mode } mode.
setup-test-failed = Saved, but I cannot write to { $room }: { $why }
setup-test-card = Cards will appear here. 👍 says a card is right, 👎 that it is not; both teach, where there is a basis. Undo takes an action back.
setup-button-language = Language: English
setup-button-warn-dm = Warn: in private
setup-button-warn-place = Warn: in the channel
setup-button-save = Save
setup-button-preview = Preview on the last 200 messages
setup-warn-dm = in private
setup-warn-place = in the channel
history-title = { $author }: { $count ->
    [0] no cases.
    [one] one case.
   *[other] { $count } cases.
}
report-thanks = Thank you: the moderators see it. (case { $case })
ask-later = That is enough for now. Ask again in { $seconds ->
    [one] { $seconds } second
   *[other] { $seconds } seconds
}.
report-too-many = That is enough for now: at most { $count } reports in ten minutes.
report-own = That is your own message.
report-board = This is the moderators' own room; I do not read it.
report-nothing = There is no text in it that I can show to moderators.
privacy = **What I keep.** The text of messages is sealed (AES-256) on the operator's own machine and forgotten after { $days } days. Authors are kept as keyed hashes; your id is kept sealed only while there is a case about a message of yours, and as long as its text. What was decided is kept without the text. Nothing leaves that machine, no text is sent to anybody.

    {""}**Learning.** { $learning }

    {""}`/mydata export` shows what is kept of you, `/mydata erase` removes your texts.
learning-off = Texts from this server teach nothing: { $why }
learning-on = Corrections by moderators teach the model, under the operator's permission “{ $reference }”. `/mydata erase` takes your texts out.
learning-why-operator = the operator has recorded no permission from Discord, which Discord's developer policy asks for.
learning-why-server = this server has not agreed to it (`/learning`).
learning-examples = Moderators can write their own examples; these always teach. What is said here teaches the model for this server; for others too only where the operator has named it as trusted.
learning-button-on = Let corrections teach
learning-button-off = Stop teaching
learning-button-example = Write an example
learning-changed-on = From now on corrections here teach.
learning-changed-off = From now on corrections here teach nothing.
learning-example-title = An example to learn from
learning-example-text = Text
learning-example-label = What it is
learning-example-done = Thank you; the next refresh learns that this is { $label } here.
mydata-none = I keep no text of yours from this server.
mydata-export = { $count ->
    [one] One message of yours is kept; it is in the file.
   *[other] { $count } messages of yours are kept; they are in the file.
}
mydata-erased = { $count ->
    [0] There was no text of yours to remove.
    [one] One text of yours was removed. Adapters that learned from it are marked, and the next refresh leaves it out.
   *[other] { $count } texts of yours were removed. Adapters that learned from them are marked, and the next refresh leaves them out.
}

# Commands
command-explain = Why a message got its label
command-explain-message = Link or id of the message
command-test = What I would make of a text; nothing is kept
command-test-text = The text
command-preview = What I would have made of the last 200 messages here
command-status = Whether all is well, and which rights are missing
command-mode = Shadow: only show. Enforce: act by the policy
command-mode-mode = shadow or enforce
command-policy = See or change how strict I am
command-policy-preset = relaxed, standard or strict
command-policy-label = The label to change
command-policy-alert = Cards from this score on, in percent
command-policy-act = Action from this score on, in percent
command-policy-actions = For instance: delete, warn
command-policy-kind = A kind of harm
command-policy-rule = What to do about that kind: ignore, alert only, normal
command-case = Show a case again
command-case-number = Its number
command-history = A member's cases
command-history-member = The member
command-report = Report a message to the moderators
command-report-message = Link or id of the message
command-privacy = What I keep, and for how long
command-mydata = What I keep of you
command-mydata-export = A file with the texts of yours that are kept
command-mydata-erase = Remove the texts of yours that are kept
command-learning = Whether corrections teach, and on what basis
command-setup = Set me up: cards, moderators, how strict
command-context-explain = Explain
command-context-report = Report to moderators
command-consent = Whether your messages may teach
command-skip = Leave this room alone, or read it again
command-example = Write an example to learn from
command-example-label = What it is
command-example-text = The text
command-help = What you can ask me
help-title = What you can ask me here:
command-link = Make a Telegram group part of this community
link-code = Write `/link { $code }` to the bot in private on Telegram within ten minutes, as a manager of that group (“Change group info” or “Add new admins”). From then on both share one policy, and each answers its own cases.

# Telegram
card-again = May have been shown before: the bot was interrupted.
notice-updates-anew = Telegram, or the server in its place, has begun to count its updates anew. I read them all the same.
notice-update-aside = Something from Telegram (update { $number }) could not be handled; the log says why.
telegram-connecting = Connecting to Telegram.
telegram-token = Telegram refuses the token. Fix: get one from @BotFather (/token) and put it into DOMOVOI_TELEGRAM_TOKEN.
telegram-conflict = Another program receives this bot's messages. Fix: stop it; a token serves one program.
telegram-lost = The connection to Telegram was lost ({ $error }); trying again.
telegram-welcome = Hello! I am Domovoi, a moderator: I read messages, mark hate and offence, and show them to the administrators. I start in shadow mode and touch nothing. An administrator sets me up in private:
telegram-setup-button = Set me up
telegram-alone = I answer that in private.
telegram-alone-button = Open
telegram-no-group = I know no group in which we both are. If there is one, write /setup in it: my answer leads back here. Or add me to one: { $link }
telegram-which-group = Which group?
telegram-which-of-many = Which group? There are { $count } in which you wrote, which you administer or whose cards come here (page { $page } of { $pages }). If yours is not among them, write /setup in it: my answer leads back here.
telegram-hello = I moderate groups. /setup sets a group up, /status says how it is, /privacy what I keep. Forward me a message, and I say what I think of it.
telegram-member = What you can do: answer a message with `/report` and the moderators see it; `/explain` on a message of your own says why it was marked; `/privacy`, `/mydata` and `/consent` are about your data.
how-explain = Answer the message with /explain, or forward it to me in private.
how-history = Answer a message of the member with /history, or write the number of their account after it.
how-report = Answer the message with /report, in the group.
telegram-no-message = I do not know that message.
how-test = Write the text after it: /test some text
how-mode = Write /mode shadow or /mode enforce.
how-policy = Write /policy, /policy relaxed, /policy standard, /policy strict, for one label /policy offensive 60 90 delete, warn, or for one kind of harm (swearing, insult, threat, sexual, slur, dehumanising) /policy swearing ignore, /policy swearing alert only, /policy swearing normal
how-example = Write the label, then the text: /example neutral some text. Not as an anonymous administrator.
how-skip = Write /skip in the topic or channel that is to be left alone.
skip-left-alone = From now on I leave this room alone. /skip again undoes that.
skip-read-again = From now on I read this room again.
not-anonymous = I cannot tell who you are while you write anonymously: ask me in private.
telegram-alerts = Cards go to the moderators' chat.
telegram-no-alerts = Cards go nowhere yet: choose where in /setup.
telegram-admins = the group's administrators
telegram-cards-here = Cards to me, here
telegram-cards-group = Cards to a group …
telegram-to-enforce = Switch to enforce
telegram-to-shadow = Switch to shadow
telegram-in-private = in private
telegram-link-button = Link with Discord …
telegram-link-how = On Discord run `/link`; it shows a code. Then write `/link CODE` to me here.
telegram-linked = Linked: from now on this group shares one policy with the Discord server, and each answers its own cases.
telegram-link-bad = I do not know that code; it holds ten minutes and serves once.
mydata-how = Your data in this group:
mydata-button-export = Send me a copy
mydata-button-erase = Remove it
consent-button-yes = My messages may teach
consent-button-no = My messages shall not teach
consent-given = Your messages here may teach the model, when a moderator has corrected them. /consent takes that back.
consent-none = Your messages here do not teach the model.
telegram-learning = A corrected message teaches only if its author has agreed (/consent); everything else is left out.
telegram-learning-examples = Moderators can write their own examples, which always teach: /example neutral some text. What is said here teaches the model for this group; for others too only where the operator has named it as trusted.
not-allowed-either-telegram = Only the group's administrators can do that. It takes one of the rights “Delete messages”, “Ban users”, “Change group info”, “Add new admins”.
not-allowed-moderating-telegram = Only the group's administrators can do that. It takes the right “Delete messages” or “Ban users”.
not-allowed-managing-telegram = Only the group's administrators can do that. It takes the right “Change group info” or “Add new admins”.
telegram-not-with = You are not in that group.
telegram-elsewhere = This button works in private and in the moderators' chat of its group.
telegram-asked-by-another = Somebody else asked that. Write the command yourself.
consent-not-here = On this platform each author’s consent decides nothing. { $learning } `/mydata erase` takes your texts out.
consent-stranger = You are not in that group and have written nothing there.
telegram-link-both = Not linked. It takes the right “Change group info” or “Add new admins” in both groups: in the one that is moderated and in this one.
telegram-link-moderated = Not linked. I moderate this group, and a moderators' chat is not read. Make a new group for the moderators and add me there with the same button.
warn-author-telegram = { $messages ->
        [one] Your message in { $chat } looks
       *[other] { $messages } messages of yours in { $chat } look
    } like hate or an insult to automatic moderation. Please mind the rules. If that is a mistake, tell an administrator; they can see and correct it.
missing-right-telegram = I lack the right “{ $right }”. Fix: group settings → Administrators → me → turn it on.
missing-immune-telegram = Telegram lets nobody do that to the group's owner or to an administrator.
missing-channel = A channel can only be banned, not silenced for a while.
missing-supergroup = Telegram allows that in supergroups only. Fix: make the group's history visible for new members, or give it a public link; it becomes one.
missing-48-hours = Telegram does not let me delete it: it is older than 48 hours, or I lack the right to delete messages.
missing-name-telegram = On Telegram only its owner can change a name.
missing-refused-telegram = Telegram refused it: { $text }.
right-can_delete_messages = Delete messages
right-can_restrict_members = Ban users

# The try-out chat
webchat-name = the try-out chat
webchat-alerts = Cards stand beside this chat.
webchat-learning = What is typed here was typed by its moderator, so every correction teaches.
not-allowed-webchat = Only Dana, the moderator, may do that.
