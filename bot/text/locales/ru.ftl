# What people read, in Russian. Names are the same in every language; a test compares them.

label-hate = ненависть
label-offensive = оскорбление
label-neutral = нейтральное

kind-swearing = ругань
kind-insult = личное оскорбление
kind-threat = угроза
kind-sexual = сексуальное домогательство
kind-slur = нападки на группу людей
kind-dehumanising = расчеловечивание

action-alert = показать модераторам
action-warn = предупредить
action-delete = удалить
action-timeout = тайм-аут на { $minutes ->
    [one] { $minutes } минуту
    [few] { $minutes } минуты
   *[many] { $minutes } минут
}
action-kick = выгнать
action-ban = забанить навсегда
action-ban-hours = забанить на { $hours ->
    [one] { $hours } час
    [few] { $hours } часа
   *[many] { $hours } часов
}

# Cards
card-title = { $label } { $score } %
card-title-unread = модель не смогла прочитать
card-title-wordless = читать в нём нечего
card-title-not-read = не прочитано ({ $script ->
        [Cyrillic] кириллица
        [Greek] греческий
        [Georgian] грузинский
        [Armenian] армянский
        [Hebrew] еврейский
        [Arabic] арабский
        [Devanagari] деванагари
        [Bengali] бенгальский
        [Thai] тайский
        [Chinese] китайский
        [Japanese] японский
        [Korean] корейский
       *[other] { $script }
    })
card-title-neutral = посмотреть внимательнее (вред { $score } %)
card-reports = { $count ->
    [one] Пожаловался { $count } участник.
    [few] Пожаловались { $count } участника.
   *[many] Пожаловались { $count } участников.
}
card-footer = случай { $case } · { $adapter }
card-author = Автор
card-where = Где
card-why = Почему
card-said = Модераторы
card-jump = к сообщению
card-nobody = неизвестен
why-alert = { $label }: { $score } %, порог карточки { $threshold } % достигнут.
why-action = { $label }: { $score } %, порог действия { $threshold } % достигнут.
why-clear = Ниже всех порогов (вред { $score } %), поэтому сам я это не показывал.
why-not-read = Не прочитано ({ $script ->
        [Cyrillic] кириллица
        [Greek] греческий
        [Georgian] грузинский
        [Armenian] армянский
        [Hebrew] еврейский
        [Arabic] арабский
        [Devanagari] деванагари
        [Bengali] бенгальский
        [Thai] тайский
        [Chinese] китайский
        [Japanese] японский
        [Korean] корейский
       *[other] { $script }
    }): модель не знает этой письменности, поэтому ничего не сказано и не сделано.
why-example = Пример, написанный модератором.
why-unread = Модель не смогла это прочитать: решите, пожалуйста, сами.
why-wordless = В нём нет слов, которые можно прочитать: пожалуйста, посмотрите сами.
why-name = Это имя: имена только показываются.
why-title = Это название: названия только показываются.
why-quoted = Автор это только цитирует. За цитаты я не наказываю.
why-stand-in = Оценила запасная модель. По её оценкам я не наказываю.
why-language = На этом языке я ошибаюсь слишком часто, поэтому только показываю.
why-old = Я прочитал это больше чем через час, поэтому только показываю.
why-disguised = Видно, только если снять маскировку, поэтому я только показываю.
why-moderator = Написал модератор, поэтому только показано.
why-bot = Написал бот или вебхук, поэтому можно убрать лишь сообщение.
why-strike = У автора уже был случай: одним действием больше.
why-flood = Это у автора пятое или более позднее за минуту: ещё и тайм-аут.
why-cap = Действия здесь приостановлены: за час затронуто слишком много участников.
why-held = Об этих словах модератор уже решил.
why-alert-only = Сообщения такого рода здесь только показываются.
card-edited = С тех пор изменено. Новый текст в этом случае ничего не меняет.
card-edited-better = С тех пор изменено: теперь оно не было бы отмечено.
done-nothing = Ничего не сделано.
done-shadow = Было бы сделано: { $actions } (теневой режим).
done-paused = Было бы сделано: { $actions } (действия приостановлены).
done-done = Сделано: { $actions }.
done-sent = Выполняется: { $actions }.
done-intended = Выполняется: { $actions }.
done-undoing = Возвращается: { $actions }.
done-failed = Не всё удалось: { $actions }.
done-unsure = Неизвестно, дошло ли это, поэтому не повторено: { $actions }.
done-stopped = Не сделано или сделано не всё, потому что действия были приостановлены: { $actions }.
done-gone = { $actions }; сообщения или автора уже не было.
not-done-person = Не сделано: { $action }. Осталось так, как решил человек: { $standing }.
not-done-bot = Не сделано ещё раз: { $action }. За другое сообщение я уже сделал не меньше: { $standing }.
not-undone-person = Не отменено: { $action }. Осталось так, как решил человек: { $standing }.
not-undone-bot = За это сообщение отменено: { $action }. За другое сообщение остаётся: { $standing }.
standing-limits = может писать не всё до { $until }
standing-limits-for-good = может писать не всё, бессрочно
standing-timeout = не может писать до { $until }
standing-timeout-for-good = не может писать, бессрочно
standing-ban = забанен до { $until }
standing-ban-for-good = забанен навсегда
standing-name = Не отменено: { $action }. У участника уже другое имя, поэтому оно остаётся.
standing-removed = Вместо этого удалён из группы: { $action }. В обычной группе банов нет, поэтому можно вернуться.
said-right = 👍 верно ({ $label })
said-wrong = 👎 это { $label }
said-undone = отменено
state-open = открыт
state-confirmed = подтверждён
state-corrected = исправлен
state-undone = отменён
button-right = 👍 Верно
button-wrong = 👎 Неверная метка
button-undo = Отменить
button-explain = Объяснить
button-back = Вернуть текст
button-next = Просмотреть по одному
digest-title = { $count ->
    [one] { $count } сообщение
    [few] { $count } сообщения
   *[many] { $count } сообщений
} от { $authors ->
    [one] { $authors } автора
   *[many] { $authors } авторов
}: нужен взгляд
digest-line = { $title } · { $state } · случай { $case }
digest-more = … и ещё { $count }.
digest-through = В этой сводке всё уже разобрано.
digest-left = { $count ->
    [one] Открыт ещё { $count }.
   *[many] Открыто ещё { $count }.
}

# What is in a message without words
attached-photo = фото
attached-video = видео
attached-animation = анимация
attached-audio = аудио
attached-document = файл
attached-voice = голосовое сообщение
attached-video_note = видеосообщение
attached-sticker = стикер
attached-story = история
attached-paid_media = платное медиа
attached-live_photo = живое фото
attached-dice = кубик
attached-location = место
attached-game = игра
attached-gift = подарок
attached-unique_gift = подарок
attached-unknown = неизвестного мне вида
attached-giveaway = розыгрыш

# What a click came to
outcome-labelled = Записано: { $label }.
outcome-agreed = Записано: вы согласны, что это { $label }.
outcome-same = Вы это уже сказали.
outcome-teaches = Модель научится этому при следующем обновлении.
outcome-no-basis = Модель этому не учится: для этого нет основания (см. /learning).
outcome-undone = Отменено; модель этому не учится.
outcome-nothing-to-undo = Отменять нечего, или это уже отменили.
outcome-taken-back = Возвращено: { $actions }.
outcome-cannot = Вернуть нельзя: { $actions }.
outcome-waiting = Будет возвращено, как только платформа ответит: { $actions }.
outcome-posted-back = Текст возвращён.
outcome-not-posted-back = Вернуть не удалось ({ $error }). Можно попробовать ещё раз.
outcome-perhaps-posted-back = Telegram не ответил ({ $error }): посмотрите, появился ли текст.
outcome-posted-before = Текст уже возвращали.
which-label = Что это?
text-forgotten = Текст больше не хранится.

# Explain
explain-words = За метку «{ $label }» говорят эти слова (насколько менее вероятна она без них):
explain-no-words = Ни одно слово само по себе не говорит за метку «{ $label }», только весь текст.
explain-part = Решила эта часть:
explain-near = похоже на { $share } %, модератор назвал «{ $label }»:
explain-verdict = { $probabilities }.
explain-kind = Что это: { $kind }.
explain-language = Язык: { $language }.
language-name = { $language ->
    [ar] арабский
    [de] немецкий
    [es] испанский
    [fr] французский
    [it] итальянский
    [nl] нидерландский
    [pl] польский
    [pt] португальский
    [ru] русский
    [und] непонятно какой
   *[other] { $language }
  }
explain-not-stored = Этого сообщения я раньше не читал: оценено сейчас, ничего не сохранено.
explain-nothing = В нём нет текста, который я читаю.

# Notices
notice-failed = Сообщение не удалось обработать (строка журнала { $row }); причина в логе.
notice-store-silent = Я не могу записывать, что делаю, поэтому сообщения и действия ждут. Ничего не потеряно. Моему оператору: не полон ли диск, не занято ли хранилище другой программой?
notice-store-back = Я снова могу записывать; то, что ждало, выполняется.
notice-store-repaired = Хранилище при запуске исправлено: { $found }.
notice-no-backup = Не удалось сделать резервную копию хранилища ({ $error }). Прежние на месте; попытка повторится.
breaker-open-here = За десять минут отклонено вызовов: { $calls }, больше всего здесь. Действия здесь подождут ещё { $minutes } мин.; другие сообщества не ждут. Какого права мне не хватает?
breaker-open = За десять минут отклонено вызовов: { $calls }. Ещё { $minutes } мин. я не делаю вызовов, чтобы платформа меня не заблокировала; действия подождут. Не отняли ли у меня права?
notice-flood = Пишут больше, чем я успеваю читать. Очередь доходит до каждого, самые частые ждут; ничего не потеряно, остальное прочту позже.
notice-flood-over = То, что ждало из-за потока сообщений, сейчас читается.
notice-unread = Модель не смогла прочитать сообщение. Оно на карточке, больше ничего не сделано: посмотрите, пожалуйста, сами.
notice-unknown-kind = Пришло сообщение неизвестного мне вида ({ $kind }), прочитать его я не могу. Пожалуйста, смотрите такие сообщения сами; возможно, их прочтёт новая версия. О каждом виде я говорю один раз.
notice-classifier-silent = Модель не отвечает ({ $error }). Сообщения ждут; никто не будет наказан.
notice-classifier-back = Модель снова отвечает; читаю ожидающие сообщения.
notice-cap = За час затронуто разных участников: { $members }; среди них нет ни новых, ни отмеченных раньше. Похоже, модель ошибается. Я остановился: теперь только показываю. Продолжу сам через час без таких сообщений или когда вы скажете. Сначала посмотрите последние случаи.
notice-cap-over = Час без таких сообщений: снова действую по правилам.
notice-cap-resumed = Модератор велел продолжать: снова действую по правилам.
page-paused = Действия приостановлены: за час затронуто слишком много участников. Посмотрите последние карточки и нажмите «Go on acting» или подождите час.
page-no-platforms = Здесь только пробный чат. Для Discord или Telegram задайте токен бота в DOMOVOI_DISCORD_TOKEN или DOMOVOI_TELEGRAM_TOKEN и запустите снова; шаги описаны в docs/discord.md и docs/telegram.md.
flip-clear = без внимания
flip-alert = { $label }, показано
flip-action = { $label }, с действием
audit-opened = { $count ->
    [one] Добавлена { $count } карточка
    [few] Добавлены { $count } карточки
   *[many] Добавлено { $count } карточек
} со случайными сообщениями: 👍, если «нейтрально» верно, 👎, если нет.
audit-none = За последние 7 дней больше нет сообщений, которые можно посмотреть.
button-resume = Продолжать действовать
resume-not-paused = Действия здесь не приостановлены.
notice-not-taken-back = Не удалось вернуть: { $action }. { $why }
notice-not-possible = Не удалось: { $action }. { $why }
notice-lift = Срок бана <@{ $member }> истёк, но снять его я не могу. { $why }
notice-plain = { $text }
notice-rights =
    { $count ->
        [one] Не хватает права:
       *[many] Не хватает прав ({ $count }):
    }
    { $list }
discord-connecting = Подключаюсь к Discord.
discord-token = Discord не принимает токен. Что делать: создайте новый в Developer Portal, раздел Bot, и задайте DOMOVOI_DISCORD_TOKEN.
discord-intent = Discord не даёт читать сообщения. Что делать: включите «Message Content Intent» в Developer Portal, раздел Bot.
discord-lost = Связь с Discord потеряна ({ $error }); пробую снова.

# Discord
missing-right = Нет права «{ $right }»{ $where }. Что делать: { $fix }
missing-where = {" "}в { $channel }
missing-where-server = {" "}на этом сервере
fix-role = Настройки сервера → Роли → { $role } → включить «{ $right }».
fix-channel = настройки канала → Права доступа → { $role } → разрешить «{ $right }».
fix-order = Настройки сервера → Роли: поднимите { $role } выше самой высокой роли участника.
missing-order = Самая высокая роль участника не ниже моей. Что делать: { $fix }
missing-immune = Discord не позволяет этого с владельцем сервера и администраторами.
missing-name = Имя учётной записи меняет только её владелец; я могу сбросить лишь никнейм на сервере.
missing-refused = Discord отказал ({ $code }: { $text }).
right-view_channel = Просматривать каналы
right-send_messages = Отправлять сообщения
right-send_messages_in_threads = Отправлять сообщения в ветках
right-embed_links = Встраивать ссылки
right-read_message_history = Читать историю сообщений
right-manage_messages = Управлять сообщениями
right-moderate_members = Отправлять участников подумать о своём поведении
right-kick_members = Выгонять участников
right-ban_members = Банить участников
right-manage_nicknames = Управлять никнеймами
right-manage_threads = Управлять ветками
welcome = Здравствуйте! Я Domovoi, модератор сервера **{ $server }**. Я читаю сообщения, отмечаю ненависть и оскорбления и показываю их вашим модераторам. Начинаю в **теневом режиме**: ничего не трогаю, пока вы не скажете `/mode enforce`.

    1. Выполните `/setup` на сервере: канал для карточек, кто модерирует, насколько строго.
    2. `/status` скажет, хватает ли мне прав.
    3. Через день-два посмотрите на карточки и решите насчёт `/mode enforce`.

    {""}`/privacy` скажет, что я храню.
warn-author = { $messages ->
        [1] Ваше сообщение в { $room } ({ $server }) похоже
       *[other] Ваши сообщения в { $room } ({ $server }), всего { $messages }, похожи
    } на ненависть или оскорбление, считает автоматическая модерация. Пожалуйста, соблюдайте правила. Если это ошибка, скажите модератору: он это увидит и исправит.
warn-author-here = { $messages ->
        [1] { $author }, ваше сообщение похоже
       *[other] { $author }, ваши сообщения, всего { $messages }, похожи
    } на ненависть или оскорбление, считает автоматическая модерация. Пожалуйста, соблюдайте правила. Если это ошибка, скажите модератору: он это увидит и исправит.
reason-action = Domovoi: автоматическая модерация сообщения { $message }
reason-undo = Domovoi: отменено модератором
reason-lift = Domovoi: срок бана истёк
title-removed = (название удалено)
posted-back = Модератор вернул сообщение { $author }, удалённое по ошибке:
not-allowed-moderator = Это могут только модераторы: нужно право «Управлять сообщениями» или «тайм-аут», либо роль модератора из /setup.
not-allowed-manager = Это могут только те, у кого есть право «Управлять сервером».
not-here = Это работает только на сервере.
not-allowed-beyond = Я бы сделал или отменил то, чего вы сами не можете. Для этого нужно: { $rights }. Решить должен тот, у кого это право есть.
case-hidden = Это написано в канале, который вам не виден. Ответить должен модератор, которому он виден.
setup-room-is-read = Не сохранено: в { $room } писали участники, а канал, куда идут карточки, больше не читается. Выберите другой канал или сначала добавьте этот к тем, которые не трогать.
no-case = Случая { $case } на этом сервере нет.
no-message = Не нахожу этого сообщения. Дайте ссылку («Копировать ссылку на сообщение») или номер и проверьте, что я вижу канал.
not-answering = Модель сейчас не отвечает ({ $error }). Попробуйте через минуту.
broken = У меня что-то сломалось; причина в логе у оператора. Возможно, всё же получилось: проверьте, прежде чем повторять.
status-title = Domovoi на { $server }
status-mode-shadow = Режим: **теневой**. Решаю и показываю, ничего не трогаю.
status-mode-enforce = Режим: **enforce**. Действую по правилам.
status-mode-paused = Режим: **enforce, но приостановлен**: за час затронуто слишком много участников, поэтому только показываю. Продолжу сам через час без таких сообщений; `/mode enforce` продолжит сейчас.
status-model = Модель: { $adapter }.
status-counts = За 24 часа: прочитано сообщений { $seen }, карточек { $cases }, с ответом { $answered }, действий { $acted }.
status-not-read = { $count ->
        [one] { $count } из этих сообщений не прочитано: модель не знает его письменности.
       *[other] { $count } из этих сообщений не прочитаны: модель не знает их письменности.
    }
status-languages = Кроме английского читаю: { $languages }. На других языках только показываю.
status-alerts = Карточки идут в { $room }.
status-no-alerts = Карточки пока никуда не идут: выполните `/setup` и выберите канал.
status-rights-fine = Все нужные права у меня есть.
status-trouble = Неполадка: { $text }
health-outage = Нет связи с { $since }; неудачных попыток: { $count }. Написанное за это время будет прочитано позже.
health-cards = { $count ->
    [one] { $count } карточка ждёт
    [few] { $count } карточки ждут
   *[many] { $count } карточек ждут
} с { $since }: отказ или нет ответа. Я пробую снова.
health-rooms = { $count ->
    [one] { $count } канал ещё не удалось дочитать
    [few] { $count } канала ещё не удалось дочитать
   *[many] { $count } каналов ещё не удалось дочитать
} (замечено { $since }). Я пробую снова.
health-messages = Сообщений, которые не удалось прочитать и пришлось пропустить: { $count } (с { $since }); причина в логе.
health-events = Событий, которые не удалось понять: { $count } (с { $since }); если дело было в сообщениях, канал читается снова.
health-commands = Discord не принимает мои команды с { $since }; прежние работают, я пробую снова.
health-updates = Обновлений, которые не удалось обработать: { $count } (с { $since }); причина в логе.
mode-set-shadow = Теневой режим: теперь я решаю и показываю, но ничего не трогаю.
mode-set-enforce = Enforce: теперь я действую по правилам. `/mode shadow` вернёт назад.
policy-line = { $label }: карточка от { $alert } %, действие от { $act } % ({ $actions }).
policy-names = Имена и названия: карточки от { $alert } %, больше ничего.
policy-kind-ignore = { $kind }: не замечаю.
policy-kind-alert-only = { $kind }: только показываю.
policy-no-action = только карточка
policy-preset = Настройка: **{ $preset }**.
policy-own = Настройка: свои числа.
policy-exempt = Не трогаю: { $what }.
policy-exempt-none = Не трогаю: никого и ничего.
policy-which-label = Какая метка? Назовите и её: `/policy label:hate alert:60`.
policy-which-rule = Какой вид и что с ним делать? Назовите и то и другое: `/policy kind:swearing rule:ignore`.
policy-bad = Так не выйдет: { $error }.
preset-relaxed = мягко
preset-standard = обычно
preset-strict = строго
preset-own = свои числа
preview-title = Из последних { $count } сообщений в { $room }: карточек было бы { $cards }, действий { $acted }. Ничего из этого не сохранено.
preview-none = В { $room } нет сообщений, которые я могу прочитать.
preview-line = { $label } { $score } % ({ $actions })
setup-title = **Настройка.** Выберите и сохраните. Всё можно изменить позже.
setup-alerts = Канал для карточек
setup-moderators = Роли модераторов
setup-exempt-roles = Роли, которые не трогать
setup-exempt-rooms = Каналы, которые не трогать
setup-preset = Строгость
setup-now = Карточки: { $alerts } · модераторы: { $moderators } · не трогать: { $exempt } · строгость: { $preset } · язык: { $language } · предупреждать: { $warn }
setup-none = нет
setup-saved = Сохранено. Режим: { $mode }.
setup-test-failed = Сохранено, но я не могу писать в { $room }: { $why }
setup-test-card = Здесь будут карточки. 👍 — карточка верна, 👎 — нет; и то и другое учит, если есть основание. «Отменить» снимает действие.
setup-button-language = Язык: русский
setup-button-warn-dm = Предупреждать: лично
setup-button-warn-place = Предупреждать: в канале
setup-button-save = Сохранить
setup-button-preview = Примерить на 200 последних сообщениях
setup-warn-dm = лично
setup-warn-place = в канале
history-title = { $author }: { $count ->
    [0] случаев нет.
    [one] { $count } случай.
    [few] { $count } случая.
   *[many] { $count } случаев.
}
report-thanks = Спасибо: модераторы это увидят. (случай { $case })
ask-later = Пока достаточно. Спросите снова через { $seconds ->
    [one] { $seconds } секунду
    [few] { $seconds } секунды
   *[other] { $seconds } секунд
}.
report-too-many = Пока достаточно: не больше { $count } жалоб за десять минут.
report-own = Это ваше собственное сообщение.
report-board = Это комната самих модераторов, я её не читаю.
report-nothing = В нём нет текста, который можно показать модераторам.
privacy = **Что я храню.** Тексты сообщений зашифрованы (AES-256) на машине оператора и забываются через { $days } дней. Авторы хранятся в виде хешей с ключом; ваш номер хранится зашифрованным, только если есть случай о вашем сообщении, и не дольше его текста. Решения хранятся без текста. Ничего не покидает эту машину.

    {""}**Обучение.** { $learning }

    {""}`/mydata export` покажет, что хранится о вас, `/mydata erase` удалит ваши тексты.
learning-off = Тексты этого сервера модель не учат: { $why }
learning-on = Исправления модераторов учат модель по разрешению оператора «{ $reference }». `/mydata erase` убирает ваши тексты.
learning-why-operator = оператор не записал разрешения от Discord, которого требуют правила Discord для разработчиков.
learning-why-server = этот сервер на это не согласился (`/learning`).
learning-examples = Модераторы могут писать собственные примеры; они учат всегда. Сказанное здесь учит модель для этого сервера; для других — только если оператор назвал его доверенным.
learning-button-on = Пусть исправления учат
learning-button-off = Больше не учить
learning-button-example = Написать пример
learning-changed-on = С этого момента исправления здесь учат модель.
learning-changed-off = С этого момента исправления здесь модель не учат.
learning-example-title = Пример для обучения
learning-example-text = Текст
learning-example-label = Что это
learning-example-done = Спасибо; при следующем обновлении модель узнает, что здесь это { $label }.
mydata-none = С этого сервера я не храню ваших текстов.
mydata-export = { $count ->
    [one] Хранится { $count } ваше сообщение; оно в файле.
    [few] Хранится { $count } ваших сообщения; они в файле.
   *[many] Хранится { $count } ваших сообщений; они в файле.
}
mydata-erased = { $count ->
    [0] Ваших текстов, которые можно удалить, не было.
    [one] Удалён { $count } ваш текст. Адаптеры, учившиеся на нём, отмечены, и следующее обновление обойдётся без него.
    [few] Удалено { $count } ваших текста. Адаптеры, учившиеся на них, отмечены, и следующее обновление обойдётся без них.
   *[many] Удалено { $count } ваших текстов. Адаптеры, учившиеся на них, отмечены, и следующее обновление обойдётся без них.
}

# Commands
command-explain = Почему сообщение получило свою метку
command-explain-message = Ссылка на сообщение или его номер
command-test = Что я подумаю о тексте; ничего не сохраняется
command-test-text = Текст
command-preview = Что я сделал бы с последними 200 сообщениями здесь
command-status = Всё ли в порядке и каких прав не хватает
command-mode = shadow: только показывать. enforce: действовать по правилам
command-mode-mode = shadow или enforce
command-policy = Посмотреть или изменить строгость
command-policy-preset = relaxed (мягко), standard (обычно) или strict (строго)
command-policy-label = Какую метку изменить
command-policy-alert = Карточка от этой оценки, в процентах
command-policy-act = Действие от этой оценки, в процентах
command-policy-actions = Например: delete, warn
command-policy-kind = Вид нарушения
command-policy-rule = Что делать с этим видом: ignore, alert only, normal
command-case = Показать случай ещё раз
command-case-number = Его номер
command-history = Случаи участника
command-history-member = Участник
command-report = Пожаловаться модераторам на сообщение
command-report-message = Ссылка на сообщение или его номер
command-privacy = Что я храню и как долго
command-mydata = Что я храню о вас
command-mydata-export = Файл с вашими текстами, которые хранятся
command-mydata-erase = Удалить ваши тексты, которые хранятся
command-learning = Учат ли исправления и на каком основании
command-setup = Настроить меня: карточки, модераторы, строгость
command-context-explain = Explain
command-context-report = Report to moderators
command-consent = Могут ли ваши сообщения учить
command-skip = Не трогать это место или снова читать его
command-example = Написать пример для обучения
command-example-label = Что это
command-example-text = Текст
command-help = О чём меня можно спросить
help-title = О чём меня здесь можно спросить:
command-link = Сделать группу в Telegram частью этого сообщества
link-code = Напишите боту в Telegram лично `/link { $code }` в течение десяти минут, если в той группе у вас есть право «Изменение профиля группы» или «Выбор администраторов». После этого правила общие, а на свои случаи каждый отвечает сам.

# Telegram
card-again = Возможно, уже показывалось: бот был прерван.
notice-updates-anew = Telegram или сервер вместо него начал нумеровать обновления заново. Я всё равно их читаю.
notice-update-aside = Что-то из Telegram (обновление { $number }) не удалось обработать; причина в логе.
telegram-connecting = Подключаюсь к Telegram.
telegram-token = Telegram не принимает токен. Что делать: получите его у @BotFather (/token) и задайте DOMOVOI_TELEGRAM_TOKEN.
telegram-conflict = Сообщения этого бота получает другая программа. Что делать: остановите её; токен служит одной программе.
telegram-lost = Связь с Telegram потеряна ({ $error }); пробую снова.
telegram-welcome = Здравствуйте! Я Domovoi, модератор: читаю сообщения, отмечаю ненависть и оскорбления и показываю их администраторам. Начинаю в теневом режиме и ничего не трогаю. Администратор настраивает меня лично:
telegram-setup-button = Настроить
telegram-alone = Отвечу лично.
telegram-alone-button = Открыть
telegram-no-group = Я не знаю группы, в которой мы оба. Если она есть, напишите в ней /setup: мой ответ приведёт обратно сюда. Или добавьте меня: { $link }
telegram-which-group = Какая группа?
telegram-which-of-many = Какая группа? Есть { $count }, где вы писали, которые вы администрируете или чьи карточки приходят сюда (страница { $page } из { $pages }). Если вашей нет среди них, напишите в ней /setup: мой ответ приведёт обратно сюда.
telegram-hello = Я модерирую группы. /setup настраивает группу, /status говорит, как дела, /privacy — что я храню. Перешлите мне сообщение, и я скажу, что о нём думаю.
telegram-member = Что можете вы: ответьте на сообщение `/report`, и модераторы его увидят; `/explain` на своё сообщение скажет, почему оно отмечено; `/privacy`, `/mydata` и `/consent` — о ваших данных.
how-explain = Ответьте на сообщение командой /explain или перешлите его мне лично.
how-history = Ответьте на сообщение участника командой /history или напишите после неё номер его учётной записи.
how-report = Ответьте на сообщение командой /report, в группе.
telegram-no-message = Я не знаю этого сообщения.
how-test = Напишите текст после команды: /test какой-нибудь текст
how-mode = Напишите /mode shadow или /mode enforce.
how-policy = Напишите /policy, /policy relaxed, /policy standard, /policy strict, для одной метки: /policy offensive 60 90 delete, warn, или для одного вида нарушений (swearing, insult, threat, sexual, slur, dehumanising): /policy swearing ignore, /policy swearing alert only, /policy swearing normal
how-example = Напишите метку, потом текст: /example neutral какой-нибудь текст. Не от имени анонимного администратора.
how-skip = Напишите /skip в теме или канале, которые не надо трогать.
skip-left-alone = С этого момента я это место не трогаю. Ещё один /skip отменит это.
skip-read-again = С этого момента я снова читаю это место.
not-anonymous = Я не знаю, кто вы, пока вы пишете анонимно: спросите меня лично.
telegram-alerts = Карточки идут в чат модераторов.
telegram-no-alerts = Карточки пока никуда не идут: выберите куда в /setup.
telegram-admins = администраторы группы
telegram-cards-here = Карточки мне, сюда
telegram-cards-group = Карточки в группу …
telegram-to-enforce = Перейти в enforce
telegram-to-shadow = Перейти в теневой режим
telegram-in-private = лично
telegram-link-button = Связать с Discord …
telegram-link-how = В Discord выполните `/link`; он покажет код. Потом напишите мне сюда `/link КОД`.
telegram-linked = Связано: теперь у группы и сервера Discord общие правила, а на свои случаи каждый отвечает сам.
telegram-link-bad = Я не знаю этого кода; он действует десять минут и один раз.
mydata-how = Ваши данные в этой группе:
mydata-button-export = Прислать копию
mydata-button-erase = Удалить
consent-button-yes = Мои сообщения могут учить
consent-button-no = Мои сообщения пусть не учат
consent-given = Ваши сообщения здесь могут учить модель, если модератор их исправил. /consent отменит это.
consent-none = Ваши сообщения здесь модель не учат.
telegram-learning = Исправленное сообщение учит, только если его автор согласился (/consent); остальное не используется.
telegram-learning-examples = Модераторы могут писать собственные примеры, они учат всегда: /example neutral какой-нибудь текст. Сказанное здесь учит модель для этой группы; для других — только если оператор назвал её доверенной.
not-allowed-either-telegram = Это могут только администраторы группы. Нужно одно из прав «Удаление сообщений», «Блокировка пользователей», «Изменение профиля группы», «Выбор администраторов».
not-allowed-moderating-telegram = Это могут только администраторы группы. Нужно право «Удаление сообщений» или «Блокировка пользователей».
not-allowed-managing-telegram = Это могут только администраторы группы. Нужно право «Изменение профиля группы» или «Выбор администраторов».
telegram-not-with = Вас нет в этой группе.
telegram-elsewhere = Эта кнопка работает лично и в чате модераторов своей группы.
telegram-asked-by-another = Это спросил кто-то другой. Напишите команду сами.
consent-not-here = На этой платформе согласие автора ничего не решает. { $learning } `/mydata erase` убирает ваши тексты.
consent-stranger = Вас нет в этой группе, и вы там ничего не писали.
telegram-link-both = Не связано. Нужно право «Изменение профиля группы» или «Выбор администраторов» в обеих группах: в той, которую модерируют, и в этой.
telegram-link-moderated = Не связано. Эту группу я модерирую, а чат модераторов не читается. Создайте для модераторов новую группу и добавьте меня туда той же кнопкой.
warn-author-telegram = { $messages ->
        [1] Ваше сообщение в { $chat } похоже
       *[other] Ваши сообщения в { $chat }, всего { $messages }, похожи
    } на ненависть или оскорбление, считает автоматическая модерация. Пожалуйста, соблюдайте правила. Если это ошибка, скажите администратору: он это увидит и исправит.
missing-right-telegram = Нет права «{ $right }». Что делать: настройки группы → Администраторы → я → включить.
missing-immune-telegram = Telegram не позволяет этого с владельцем группы и администраторами.
missing-channel = Канал можно только забанить, но не заглушить на время.
missing-supergroup = Telegram позволяет это только в супергруппах. Что делать: откройте историю для новых участников или задайте публичную ссылку; группа станет супергруппой.
missing-48-hours = Telegram не даёт удалить: сообщению больше 48 часов, или у меня нет права удалять.
missing-name-telegram = В Telegram имя меняет только его владелец.
missing-refused-telegram = Telegram отказал: { $text }.
right-can_delete_messages = Удаление сообщений
right-can_restrict_members = Блокировка пользователей

# Чат для пробы
webchat-name = чат для пробы
webchat-alerts = Карточки стоят рядом с этим чатом.
webchat-learning = Всё, что здесь написано, написал его модератор, поэтому учит каждое исправление.
not-allowed-webchat = Это может только Dana, модератор.
