"""E-mails for the text corpus: eight purposes, many tones, and facts to carry from the instruction to the letter."""

from pipelines.training.starter.language_words import I_NEED, MAKE, Made, Pen, with_article

_TONES = {
    "": "plain", "formal": "formal", "polite": "formal", "professional": "formal", "friendly": "warm", "warm": "warm",
    "casual": "warm", "cheerful": "warm", "short": "brief", "brief": "brief", "firm": "firm", "serious": "formal",
}  # fmt: skip

_OPENINGS = {
    "about": (
        "I am writing about {topic}.|this is a short note about {topic}.|I wanted to give you an update on {topic}.|"
        "I would like to talk with you about {topic}.|here is the latest news on {topic}."
    ),
    "apology": (
        "I am sorry about {topic}.|please accept my apology for {topic}.|I would like to apologise for {topic}.|"
        "I am very sorry for the trouble with {topic}."
    ),
    "thanks": (
        "thank you very much for your help with {topic}.|many thanks for your support with {topic}.|"
        "I would like to thank you for {topic}.|thank you so much for {topic}."
    ),
    "invite": (
        "I would like to invite you to {topic}.|you are warmly invited to {topic}.|please join us for {topic}.|"
        "it would be a pleasure to see you at {topic}."
    ),
    "remind": (
        "this is a friendly reminder about {topic}.|I would like to remind you of {topic}.|"
        "please do not forget {topic}.|just a short reminder about {topic}."
    ),
    "ask": (
        "could you please send me some news on {topic}?|I have a question about {topic}.|"
        "I would like to ask you about {topic}.|could you tell me more about {topic}?"
    ),
    "complain": (
        "I am not happy with {topic}.|I have to complain about {topic}.|there is a problem with {topic}.|"
        "I am disappointed with {topic}."
    ),
    "cancel": (
        "unfortunately I have to cancel {topic}.|I am sorry, but I must cancel {topic}.|"
        "I am writing to cancel {topic}.|sadly we have to call off {topic}."
    ),
}  # fmt: skip
_MIDDLES = {
    "about": (
        "The work is going well and most of the open points are settled.|A few questions are still open, and your view would help "
        "us a lot.|We have looked at it carefully and found a good way forward.|I will share all the details with you soon.|"
        "We would like to decide the next steps together with you."
    ),
    "apology": (
        "This should not have happened, and we are working hard to put it right.|I understand that this caused you extra work.|"
        "We have changed our plans so that it does not happen again.|It was our mistake, and we will make up for it."
    ),
    "thanks": (
        "It made a real difference to all of us.|Your time and your good ideas were a great help.|"
        "Without you it would have taken much longer.|The whole team was delighted."
    ),
    "invite": (
        "There will be good food, good company and time to talk.|We have planned a small programme and would love to have you with us.|"
        "Please feel free to bring a guest.|We look forward to a pleasant time together."
    ),
    "remind": (
        "A few details are still missing on our side.|It would be great to have everything ready in time.|"
        "If you have already taken care of it, please ignore this message.|It is important for the next steps."
    ),
    "ask": (
        "A short answer is enough for now.|We need the details to plan our next steps.|Any information would be a great help.|"
        "If it is easier for you, we can talk on the phone."
    ),
    "complain": (
        "I expected better, and I would like to know how you will solve this.|Please let me know what you will do about it.|"
        "This is not the first time, so I ask you to look into it.|I hope that we can find a fair solution."
    ),
    "cancel": (
        "I know that this comes at short notice.|I hope that it does not cause you too much trouble.|"
        "We can gladly look for another date.|Please let me know if there is anything you need from me."
    ),
}  # fmt: skip
_DETAILS = {
    "about": "The next step is planned {when}.|We will talk about it {when}.|You will hear more {when}.",
    "apology": "It will be settled {when}.|You will have a solution {when}.|We will put it right {when}.",
    "thanks": "I would like to thank you in person {when}.|Let us celebrate it {when}.|I hope to see you {when}.",
    "invite": "It takes place {when}.|We start {when}.|We meet {when}.",
    "remind": "It is due {when}.|Please keep in mind that it is {when}.|We need it {when}.",
    "ask": "It would help me to know more {when}.|I would need your answer {when}.|Could we talk about it {when}?",
    "complain": "I expect your answer {when}.|Please call me {when}.|I need a solution {when}.",
    "cancel": "Perhaps we can meet {when} instead.|A new date could be {when}.|I will call you {when}.",
}  # fmt: skip
_WISHES = {
    "about": "Please let me know what you think.|Please tell me if you have any questions.|I look forward to your answer.",
    "apology": "Thank you for your patience.|I hope you can forgive us.|Thank you for your understanding.",
    "thanks": "I hope we can work together again soon.|Thank you once again.|I am looking forward to seeing you soon.",
    "invite": "Please let me know if you can come.|We hope to see you there.|I look forward to your answer.",
    "remind": "Thank you for taking care of it.|Please let me know if you need more time.|Many thanks in advance.",
    "ask": "Thank you for your help.|Many thanks in advance.|I look forward to your answer.",
    "complain": "I look forward to your answer.|Please reply soon.|Thank you for looking into it.",
    "cancel": "Thank you for your understanding.|I am sorry for the trouble.|I hope to see you soon.",
}  # fmt: skip
_SUBJECTS = {
    "about": "About {topic}|Update on {topic}|News on {topic}", "apology": "Sorry about {topic}|Apology for {topic}",
    "thanks": "Thank you for {topic}|Many thanks for {topic}", "invite": "Invitation to {topic}|You are invited to {topic}",
    "remind": "Reminder of {topic}|Reminder: {topic}", "ask": "Question about {topic}|A question about {topic}",
    "complain": "Problem with {topic}|Complaint about {topic}", "cancel": "We have to cancel {topic}|Cancelling {topic}",
}  # fmt: skip
_REQUESTS = {
    "about": (
        "[Write/Draft/Compose/Please write] {kind} to {who} about {topic}{extra}{dot}",
        "{kind} to {who} about {topic}{extra}",
        "[I need/Can you write/Could you write/Help me write] {kind} [to/for] {who} about {topic}{extra}{dot}",
        "[Tell/Inform/Update] {who} by [e-mail/email] about {topic}{extra}{dot}",
        "[Write/write/Send] {who} {kind} on {topic}{extra}{dot}",
        "[Please draft/Could you draft/Make] {kind} [telling/updating] {who} about {topic}{extra}{dot}",
    ),
    "apology": (
        "[Write/Draft] {kind} to {who} apologising for {topic}{extra}{dot}",
        "[Write/Draft/Compose] an apology [e-mail/email] to {who} for {topic}{extra}{dot}",
        "[apology email/sorry email/apology mail] to {who} for {topic}{extra}",
        "[Apologise/Say sorry] to {who} for {topic} [by e-mail/in an email]{extra}{dot}",
    ),
    "thanks": (
        "[Write/Draft] {kind} to {who} [thanking them/to say thank you] for {topic}{extra}{dot}",
        "[Write/Compose] a thank-you [e-mail/email] to {who} for {topic}{extra}{dot}",
        "[thank you email/thanks email/thank-you mail] to {who} for {topic}{extra}",
        "Thank {who} for {topic} in [an e-mail/an email]{extra}{dot}",
    ),
    "invite": (
        "[Write/Draft] {kind} [inviting/that invites] {who} to {topic}{extra}{dot}",
        "[Write/Compose] an invitation [e-mail/email] to {who} for {topic}{extra}{dot}",
        "[invite/Invite] {who} to {topic}{extra}",
        "Please invite {who} to {topic} by [e-mail/email]{extra}{dot}",
    ),
    "remind": (
        "[Write/Draft] {kind} [reminding/to remind] {who} [of/about] {topic}{extra}{dot}",
        "[Write/Compose] a reminder [e-mail/email] to {who} about {topic}{extra}{dot}",
        "[Remind/remind] {who} [of/about] {topic}{extra}",
        "Send {who} a reminder about {topic}{extra}{dot}",
    ),
    "ask": (
        "[Write/Draft] {kind} [asking/to ask] {who} about {topic}{extra}{dot}",
        "[Ask/ask] {who} by [e-mail/email] about {topic}{extra}{dot}",
        "[Write/Compose] an [e-mail/email] with a question to {who} about {topic}{extra}{dot}",
        "I want to ask {who} about {topic} by [e-mail/email]{extra}{dot}",
    ),
    "complain": (
        "[Write/Draft] {kind} complaining to {who} about {topic}{extra}{dot}",
        "[Write/Compose] a complaint [e-mail/email] to {who} about {topic}{extra}{dot}",
        "[complaint/complaint email] to {who} about {topic}{extra}",
        "Complain to {who} about {topic} by [e-mail/email]{extra}{dot}",
    ),
    "cancel": (
        "[Write/Draft] {kind} to {who} cancelling {topic}{extra}{dot}",
        "[Cancel/cancel] {topic} in an [e-mail/email] to {who}{extra}{dot}",
        "[Write/Compose] a cancellation [e-mail/email] to {who} for {topic}{extra}{dot}",
        "Tell {who} by [e-mail/email] that I have to cancel {topic}{extra}{dot}",
    ),
}  # fmt: skip

_MORE_REQUESTS = {
    "about": (
        MAKE + " {kind} [for/to] {who} [about/on/regarding/concerning] {topic}{extra}{dot}", I_NEED + " {kind} [for/to] {who} [about/on/regarding] {topic}{extra}{dot}",
        "[email/mail/e-mail/Email/Mail/Write to] {who} [about/on/regarding] {topic}{extra}", "{who} [must/should/needs to/has to] know about {topic}{extra}. [Write the email/Email them/Write to them/Send an email]{dot}",
        "[Update/Inform/Notify] {who} [about/on] {topic} [in an email/by e-mail/via email/with a mail]{extra}{dot}", "[Tell/Let] {who} [in an email/by mail/by e-mail] [know about/about] {topic}{extra}{dot}",
        "[Reply/Answer/Respond/Write back] to {who} [about/on] {topic}{extra}{dot}", "I have to [write/email/mail] {who} about {topic}{extra}. [Can you help?/Please write it./Help me./Draft it for me.]",
        "[email/Email][:/ –] {topic}. [To/For][:/] {who}{extra}{dot}", "[Give/Send/Write/Bring] {who} [an update/news/a note] [on/about] {topic} [by email/in an email]{extra}{dot}",
    ),
    "apology": (
        MAKE + " {kind} to {who} [to apologise/to say sorry/that apologises/saying sorry] for {topic}{extra}{dot}", MAKE + " an [apology/excuse] [to/for] {who} [for/about/because of] {topic}{extra}{dot}",
        I_NEED + " an apology [email/to/mail to/email to] {who} [for/about] {topic}{extra}{dot}", "[I want to/I have to/I need to/I must/Help me] [apologise/say sorry] to {who} [for/about] {topic}{extra}{dot}",
        "[Apologise/apologise/Say sorry] [to/by email to/in a mail to] {who} [for/about] {topic}{extra}{dot}", "I am sorry [for/about] {topic}. [Write/Email/Tell] {who}{extra}{dot}", "[apology/sorry] [to/for] {who}[: /, ]{topic}{extra}",
    ),
    "thanks": (
        MAKE + " {kind} [thanking/to thank/that thanks] {who} for {topic}{extra}{dot}", MAKE + " a thank-you [email/letter/mail/e-mail] [for/to] {who} [for/because of/about] {topic}{extra}{dot}", I_NEED + " a thank-you [email/mail] [for/to] {who} for {topic}{extra}{dot}",
        "[Thank/thank] {who} [by email/by mail/in a mail/] for {topic}{extra}{dot}", "[Say thank you/Say thanks/Express thanks/Send thanks] to {who} for {topic}{extra}{dot}", "[I want to/I would like to/We want to/Help me] thank {who} for {topic}{extra}{dot}", "thanks to {who} for {topic}{extra}",
    ),
    "invite": (
        MAKE + " {kind} [to invite/with an invitation for/that asks] {who} to {topic}{extra}{dot}", MAKE + " an invitation [for/to] {who} [to/for] {topic}{extra}{dot}", I_NEED + " an invitation [for/to/email for/email to] {who} [to/for] {topic}{extra}{dot}",
        "[Invite/invite] {who} [by email/by mail/in an email/] to {topic}{extra}{dot}", "[Ask/Get] {who} to come to {topic}{extra}{dot}", "{who} should come to {topic}{extra}. [Write the invitation/Invite them/Send an invitation]{dot}",
        "[I want to/I would like to/We would like to/Help me] invite {who} to {topic}{extra}{dot}", "invitation [for/to] {who}: {topic}{extra}",
    ),
    "remind": (
        MAKE + " a reminder [for/to/email for/email to] {who} [about/of/on] {topic}{extra}{dot}", "[Send/Email/Mail] a [short/friendly/little/] reminder to {who} [about/of/on] {topic}{extra}{dot}", I_NEED + " a reminder [for/to] {who} [about/of] {topic}{extra}{dot}",
        "[Remind/remind] {who} [by email/in an email/by mail] [of/about] {topic}{extra}{dot}", "{who} must not forget {topic}{extra}. [Write a reminder/Remind them/Send a reminder]{dot}", "reminder [for/to] {who}: {topic}{extra}", "[I want to/I have to/Help me] remind {who} [of/about] {topic}{extra}{dot}",
    ),
    "ask": (
        MAKE + " {kind} [with a question/with questions/with a request] [for/to] {who} [about/on] {topic}{extra}{dot}", MAKE + " a question [for/to] {who} [about/on] {topic}{extra}{dot}", "[Ask/ask] {who} [in an email/in a mail/for news/some questions] [about/on] {topic}{extra}{dot}",
        "I [need to/have to/must/would like to] ask {who} [about/for news on/something about] {topic}{extra}{dot}", "[I have/There is/We have] a question [for/to] {who} [about/on] {topic}{extra}{dot}", "[question/Question] [for/to] {who}[: /, ]{topic}{extra}", "Find out from {who} [about/what is new with] {topic}{extra}{dot}",
    ),
    "complain": (
        MAKE + " a complaint [for/to/email to/letter to] {who} [about/on/because of] {topic}{extra}{dot}", MAKE + " {kind} [to complain/that complains] to {who} about {topic}{extra}{dot}", I_NEED + " a complaint [to/for/email to] {who} about {topic}{extra}{dot}",
        "[Complain/complain] [by email/in an email/by mail/] to {who} about {topic}{extra}{dot}", "I am [unhappy/not happy/angry/annoyed] [about/with] {topic}{extra}. [Write to/Tell/Email/Complain to] {who}{dot}", "[I want to/I have to/We want to/Help me] complain to {who} about {topic}{extra}{dot}",
    ),
    "cancel": (
        MAKE + " {kind} to {who} [to cancel/that cancels/calling off/to call off] {topic}{extra}{dot}", MAKE + " a cancellation of {topic} [for/to] {who}{extra}{dot}", "[Cancel/Call off/cancel] {topic} [with/by writing to/by email to] {who}{extra}{dot}",
        "I [must/have to/need to/want to] cancel {topic}{extra}. [Tell/Email/Write to/Inform] {who}{dot}", "[Tell/Inform/Email/Write to] {who} that {topic} is [cancelled/called off/off]{extra}{dot}", "Let {who} know [by email/by mail/] that [we/I] [must/have to] [call off/cancel] {topic}{extra}{dot}",
        "[cancellation/cancel][: /, ]{topic}, to {who}{extra}",
    ),
}  # fmt: skip


def email(pen: Pen) -> Made:
    who, topic = pen.person(), pen.topic()
    purpose = pen.rng.choice(["about", "about", *_OPENINGS])
    tone = pen.rng.choice(["", "", *_TONES])
    sender = pen.sender() if pen.chance(0.45) else ""
    reason = pen.reason() if pen.chance(0.3) else ""
    when = ""
    if pen.chance(0.45):
        when = pen.deadline() if purpose in ("remind", "ask", "complain") else pen.when()
    kind = (
        pen.say("[an email/an e-mail/a mail/an email]")
        if not tone
        else f"{with_article(tone)} {pen.say('[email/e-mail]')}"
    )
    extra = f" because {reason}" if reason else ""
    if when:
        extra += (
            pen.say(" {when}", ", {when}", ", [mention/mentioning] {when}", when=when)
            if not reason
            else f", {when}"
        )
    if sender:
        extra += pen.say(
            " from {s}",
            ", from {s}",
            ", signed by {s}",
            ". Sign as {s}",
            ". My name is {s}",
            ", sign it {s}",
            s=sender,
        )
    asked = pen.ask(
        *_REQUESTS[purpose],
        more=_MORE_REQUESTS[purpose],
        kind=kind,
        who=who,
        topic=topic,
        extra=extra,
        dot=pen.rng.choice((".", "", ".")),
    )

    style = _TONES[tone]
    first = pen.say(*_OPENINGS[purpose].split("|"), topic=topic)
    hello = {
        "formal": "Dear {who},",
        "warm": "[Hi/Hello] {who},",
        "firm": "Dear {who},",
        "brief": "Hi {who},",
    }
    lines = [first[0].upper() + first[1:]]
    if reason:
        lines.append(pen.say("The reason is that {r}.", "The reason is simple: {r}.", r=reason))
    if style != "brief":
        lines.append(pen.say(*_MIDDLES[purpose].split("|")))
    if when:
        lines.append(pen.say(*_DETAILS[purpose].split("|"), when=when))
    if style == "warm":
        lines.append(
            pen.say("I hope you are doing well!", "I hope all is well with you!", "Have a lovely day!")
        )
    wish = pen.say(*_WISHES[purpose].split("|")) if style != "brief" else ""
    bye = {
        "formal": "Kind regards,|Yours sincerely,", "warm": "Warm wishes,|All the best,|Best wishes,",
        "firm": "Regards,", "brief": "Best,|Thanks,",
    }  # fmt: skip
    answer = "\n".join(
        part
        for part in (
            "Subject: " + pen.say(*_SUBJECTS[purpose].split("|"), topic=topic),
            "",
            pen.say(hello.get(style, "[Dear/Hello/Hi] {who},"), who=who),
            "",
            " ".join(lines),
            *(["", wish] if wish else []),
            "",
            pen.say(*bye.get(style, "Best regards,|Kind regards,|Best wishes,").split("|")),
            sender or "[Your name]",
        )
    )
    return asked, answer, tuple(f for f in (who, topic, reason, when, sender) if f)
