"""Tools of the office, money, the home and the workshop of a programmer."""

from recipe.concept import Both, Concept, Param

CONCEPTS: tuple[Concept, ...] = (
    # Calendar, reminders, messages
    Concept(
        names=("create_event", "add_calendar_event", "schedule_event", "newCalendarEvent"),
        descriptions=(
            Both("在日历中创建日程", "Create an event in the calendar"),
            Both("给日历添加一个活动", "Add an event to the calendar"),
            Both("安排与某人的日程", "Schedule a calendar event with someone"),
        ),
        params=(
            Param(("person", "attendee"), "person", Both("参加者姓名", "name of the attendee")),
            Param(("date", "day"), "date", Both("日程日期", "date of the event")),
            Param(("place", "location"), "place", Both("日程地点", "where the event takes place")),
        ),
        asks_zh=(
            "在日历里加一个{date}和{person}见面的日程",
            "帮我安排{date}跟{person}的日程，地点在{place}",
            "{date}我要和{person}在{place}碰头，记到日历上",
            "创建日程：{person}，{date}",
            "我约了{person}，{date}在{place}见，麻烦加到日历",
            "能把{date}与{person}的活动写进日历吗？",
        ),
        asks_en=(
            "Put a meeting with {person} on {date} in my calendar.",
            "Schedule an event with {person} at {place} on {date}, please.",
            "I'm seeing {person} on {date}. Add it to the calendar.",
            "Create a calendar event: {date}, {place}, with {person}",
            "Can you add an event on {date} with {person}?",
            "On {date} I meet {person} at {place}, please put that in the calendar",
        ),
        results=(
            {"event_id": "code", "status": ("created", "ok")},
            {"日程编号": "code", "状态": ("已创建", "与其他日程冲突")},
            {"event_id": "code", "conflicts": "int:0:3"},
        ),
    ),
    Concept(
        names=("set_reminder", "create_reminder", "remind_me", "addReminder"),
        descriptions=(
            Both("设置一条提醒", "Set a reminder"),
            Both("到时间提醒用户某事", "Remind the user of something in time"),
        ),
        params=(
            Param(("text", "content"), "text", Both("提醒内容", "what to remind of")),
            Param(("time", "at"), "time", Both("提醒时间", "time of the reminder")),
            Param(("date", "day"), "date", Both("提醒日期", "date of the reminder")),
        ),
        asks_zh=(
            "{time}提醒我：{text}",
            "{date}{time}提醒我一下，内容是“{text}”",
            "设置一个提醒，内容“{text}”，时间{time}",
            "请在{date}的{time}给我发提醒：{text}",
            "到了{time}记得提醒我，{text}",
            "帮我设个{date}的提醒，{time}响，写上“{text}”",
        ),
        asks_en=(
            'Remind me at {time}: "{text}"',
            'Set a reminder for {date} at {time} that says "{text}".',
            'Could you set a reminder with the text "{text}" at {time}?',
            'On {date}, at {time}, remind me: "{text}"',
            'reminder "{text}" {time}',
            'Please remind me at {time} on {date} with this note: "{text}"',
        ),
        results=(
            {"reminder_id": "code"},
            {"提醒编号": "code", "状态": ("已设置", "已保存")},
            {"reminder_id": "code", "active_reminders": "int:1:20"},
        ),
    ),
    Concept(
        names=("set_alarm", "create_alarm", "alarm_clock", "setAlarmClock"),
        descriptions=(
            Both("设置闹钟", "Set an alarm clock"),
            Both("在指定时间响起闹钟", "Ring an alarm at a given time"),
        ),
        params=(
            Param(("time", "alarm_time"), "time", Both("闹钟时间", "when the alarm rings")),
            Param(
                ("repeat", "daily"),
                "bool",
                Both("是否每天重复", "whether it repeats every day"),
                {
                    True: Both("每天重复", "repeating every day"),
                    False: Both("不重复", "not repeating"),
                },
            ),
        ),
        asks_zh=(
            "定一个{time}的闹钟",
            "明早要赶车，闹钟设到{time}",
            "帮我设个{time}的闹钟，{repeat}",
            "闹钟{time}响，要{repeat}的那种",
            "麻烦{time}叫我起床，设个闹钟",
            "我想要一个{repeat}的闹钟，时间是{time}",
        ),
        asks_en=(
            "Set an alarm for {time}.",
            "Wake me up at {time}, I need an alarm.",
            "I'd like an alarm at {time}, {repeat}.",
            "alarm {time}, {repeat}",
            "Can the alarm clock ring at {time}?",
            "Please set my alarm clock to {time}, {repeat}",
        ),
        results=(
            {"alarm_id": "int:1:50", "hours_left": "float:0:24"},
            {"闹钟": ("已开启", "已设置"), "距离响铃小时": "float:0:24"},
        ),
    ),
    Concept(
        names=("start_timer", "countdown_timer", "kitchen_timer", "startCountdown"),
        descriptions=(
            Both("开始倒计时", "Start a countdown timer"),
            Both("做菜用的定时器", "Timer for cooking a dish"),
        ),
        params=(
            Param(("minutes", "duration"), "int:2:120", Both("倒计时分钟数", "minutes to count")),
            Param(("dish", "label"), "dish", Both("正在做的菜", "the dish being cooked")),
        ),
        asks_zh=(
            "倒计时{minutes}分钟",
            "我在做{dish}，帮我定时{minutes}分钟",
            "给{dish}开一个{minutes}分钟的倒计时",
            "请开始{minutes}分钟的定时器",
            "{minutes}分钟后{dish}该出锅了，开个定时器吧",
            "能不能帮我计时{minutes}分钟？用倒计时",
        ),
        asks_en=(
            "Start a {minutes} minute timer.",
            "Set a timer of {minutes} minutes for the {dish}",
            "I'm cooking {dish}, count down {minutes} minutes please",
            "Could you count down {minutes} minutes for me?",
            "timer: {dish}, {minutes} min",
            "I need a countdown of {minutes} minutes.",
        ),
        results=(
            {"timer_id": "int:1:30", "ends_at": "time"},
            {"结束时间": "time"},
            {"定时器": "int:1:30", "状态": ("计时中", "已开始")},
        ),
    ),
    Concept(
        names=("send_email", "email_send", "compose_email", "sendMail"),
        descriptions=(
            Both("发送电子邮件", "Send an email"),
            Both("给邮箱地址写邮件", "Write an email to an address"),
        ),
        params=(
            Param(("email", "to"), "email", Both("收件人邮箱", "email address of the receiver")),
            Param(("text", "body"), "text", Both("邮件正文", "body of the email")),
            Param(("topic", "subject"), "topic", Both("邮件主题", "subject of the email")),
        ),
        asks_zh=(
            "给{email}发封邮件，内容是“{text}”",
            "发邮件到{email}，主题{topic}，正文“{text}”",
            "帮我写一封主题为{topic}的邮件给{email}，就说“{text}”",
            "请把“{text}”这句话用邮件发给{email}",
            "邮件收件人{email}，正文写：{text}",
            "我要给{email}发一封关于{topic}的邮件，正文是：{text}",
        ),
        asks_en=(
            'Send an email to {email} saying "{text}".',
            'Email {email} with the subject {topic} and the body "{text}".',
            'Please write "{text}" to {email} by email',
            'I need to send a mail about {topic} to {email}, the text is "{text}"',
            'Could you email "{text}" to {email}?',
            'New email, subject: {topic}, to: {email}, body: "{text}"',
        ),
        results=(
            {"status": ("sent", "queued"), "message_id": "code"},
            {"状态": ("已发送", "排队中"), "邮件编号": "code"},
        ),
    ),
    Concept(
        names=("send_sms", "send_text_message", "sms_message", "sendText"),
        descriptions=(
            Both("发送手机短信", "Send a text message"),
            Both("向手机号发短信", "Send an SMS to a phone number"),
        ),
        params=(
            Param(
                ("phone", "number"), "phone", Both("收信人手机号", "phone number of the receiver")
            ),
            Param(("text", "message"), "text", Both("短信内容", "content of the message")),
        ),
        asks_zh=(
            "发短信给{phone}：{text}",
            "给{phone}发条短信，就写“{text}”",
            "把“{text}”用短信发到{phone}",
            "麻烦你往{phone}这个手机号发一条短信，内容是“{text}”",
            "能帮我短信通知{phone}吗？内容：{text}",
        ),
        asks_en=(
            'Text {phone}: "{text}"',
            'Send the message "{text}" to {phone}.',
            'Can you send an SMS to {phone} that reads "{text}"?',
            'Please text "{text}" to the phone number {phone}',
            'I want to send {phone} a text message. It should say "{text}"',
        ),
        results=(
            {"status": ("delivered", "queued")},
            {"短信状态": ("发送成功", "等待发送"), "费用": "float:0:1"},
            {"message_id": "code", "cost": "float:0:1"},
        ),
    ),
    Concept(
        names=("find_contact", "contact_lookup", "search_contacts", "lookupContact"),
        descriptions=(
            Both("在通讯录中查联系人", "Look up a contact"),
            Both("查询某人的联系方式", "Find the contact details of a person"),
        ),
        params=(
            Param(("person", "name"), "person", Both("联系人姓名", "name of the contact")),
            Param(("company", "employer"), "company", Both("所在公司", "company of the contact")),
            Param(("city",), "city", Both("所在城市", "city of the contact")),
        ),
        asks_zh=(
            "{person}的电话是多少",
            "查一下{company}的{person}的联系方式",
            "在通讯录里找找住在{city}的{person}",
            "我想联系{person}，他在{company}上班",
            "{person}的邮箱和手机号是什么？是{city}的那位",
            "请帮我查联系人{person}，公司是{company}",
        ),
        asks_en=(
            "What's the phone number of {person}?",
            "Look up the contact {person} from {company}.",
            "find {person} in my contacts, the one in {city}",
            "How can I reach {person}? They work at {company}.",
            "I need the contact details of {person}, who lives in {city}.",
            "Search my contacts for {person} at {company}, please.",
        ),
        results=(
            {"phone": "phone", "email": "email"},
            {"手机号": "phone"},
            {"电话": "phone", "邮箱": "email"},
        ),
    ),
    Concept(
        names=("add_todo", "create_task", "todo_add_item", "addTask"),
        descriptions=(
            Both("把要买的东西加入待办", "Add something to buy to the to-do list"),
            Both("新建一项购买待办", "Create a shopping to-do item"),
        ),
        params=(
            Param(("product", "item"), "product", Both("要买的东西", "what is to be bought")),
            Param(("date", "due"), "date", Both("截止日期", "due date")),
            Param(
                ("priority",),
                "enum",
                Both("优先级", "priority of the item"),
                {
                    "high": Both("高", "high"),
                    "medium": Both("中", "medium"),
                    "low": Both("低", "low"),
                },
            ),
        ),
        asks_zh=(
            "把买{product}加到待办里",
            "待办：买{product}，截止{date}，优先级{priority}",
            "加一条待办，{date}之前要买{product}",
            "帮我记个待办，买{product}，优先级是{priority}",
            "我得买{product}，放进待办清单吧",
            "新建一个{priority}优先级的待办事项：{date}前买好{product}",
        ),
        asks_en=(
            "Add buying a {product} to my to-do list.",
            "to-do: buy {product}, due {date}, {priority} priority",
            "I have to buy a {product} by {date}, put it on the to-do list",
            "New {priority} priority item for the to-do list: buy a {product}",
            "Can you put {product} on my list of things to buy?",
            "Please add a to-do item with {priority} priority, buy {product} before {date}.",
        ),
        results=(
            {"task_id": "int:100:9999", "open_items": "int:1:40"},
            {"待办总数": "int:1:40"},
            {"编号": "int:100:9999", "状态": ("已添加", "未完成")},
        ),
    ),
    Concept(
        names=("save_note", "create_note", "write_note", "newNote"),
        descriptions=(
            Both("保存一条笔记", "Save a note"),
            Both("新建带标题的笔记", "Create a note with a title"),
        ),
        params=(
            Param(("text", "content"), "text", Both("笔记内容", "content of the note")),
            Param(("title", "heading"), "title", Both("笔记标题", "title of the note")),
        ),
        asks_zh=(
            "记个笔记：{text}",
            "新建笔记，标题《{title}》，内容“{text}”",
            "请帮我把“{text}”存成笔记",
            "写一条笔记“{text}”，标题就叫{title}",
            "我想保存一条标题为{title}的笔记，内容是“{text}”",
            "笔记里加上这句：{text}",
        ),
        asks_en=(
            'Take a note: "{text}"',
            'Save a note titled {title} with the content "{text}".',
            'Please keep "{text}" as a note',
            'Create a note that says "{text}" and give it the title {title}.',
            'Could you write down "{text}" in my notes?',
            'new note, title: {title}, content: "{text}"',
        ),
        results=(
            {"note_id": "code"},
            {"笔记编号": "code", "字数": "int:4:80"},
            {"note_id": "code", "total_notes": "int:1:300"},
        ),
    ),
    # Office
    Concept(
        names=("search_files", "find_file", "file_search", "searchDocuments"),
        descriptions=(
            Both("按关键词搜索文件", "Search files by a keyword"),
            Both("在电脑里查找文件", "Find files on the computer"),
        ),
        params=(
            Param(("word", "keyword"), "word", Both("搜索关键词", "keyword to search for")),
            Param(
                ("type", "file_type"),
                "enum",
                Both("文件类型", "type of the file"),
                {
                    "pdf": Both("pdf", "pdf"),
                    "xlsx": Both("xlsx", "xlsx"),
                    "docx": Both("docx", "docx"),
                    "image": Both("图片", "image"),
                },
            ),
            Param(("date", "since"), "date", Both("修改日期不早于", "changed since this date")),
        ),
        asks_zh=(
            "找一下名字里有{word}的文件",
            "搜索包含{word}的{type}文件",
            "{date}以后改过的、含{word}的文件有哪些？",
            "帮我在电脑上查找{type}类型的文件，关键词{word}",
            "哪个文件提到了{word}？",
            "请搜索{date}之后的{type}文件，关键词是{word}",
        ),
        asks_en=(
            "Find files that contain {word}.",
            "Search for {type} files with the keyword {word}",
            "Which files about {word} were changed since {date}?",
            "I'm looking for a file with {word} in its name",
            "Please search the {type} files changed after {date} for {word}.",
            "Can you find every {type} file on this computer that mentions {word}?",
        ),
        results=(
            {"count": "int:0:60", "newest": "date"},
            {"文件数": "int:0:60", "最近修改": "date"},
        ),
    ),
    Concept(
        names=("book_meeting_room", "reserve_room", "meeting_room_booking", "bookRoom"),
        descriptions=(
            Both("预订会议室", "Book a meeting room"),
            Both("按人数和时间订会议室", "Reserve a meeting room for some people"),
        ),
        params=(
            Param(("date", "day"), "date", Both("使用日期", "date of use")),
            Param(("time", "start"), "time", Both("开始时间", "start time")),
            Param(("people", "capacity"), "int:2:40", Both("参会人数", "number of people")),
        ),
        asks_zh=(
            "订一间{date}{time}的会议室",
            "我们{people}个人，{date}{time}要用会议室",
            "帮忙预订会议室，日期{date}，{time}开始，{people}人",
            "{date}的{time}还有会议室吗？有的话订一间",
            "请给我订一个能坐{people}人的会议室，{date}{time}用",
            "会议室预订：{date}，{time}",
        ),
        asks_en=(
            "Book a meeting room on {date} at {time}.",
            "I need a meeting room for {people} people at {time} on {date}",
            "Please reserve a room for {date}, {time}, we are {people} people",
            "Is a meeting room free on {date} at {time}? If so, book it.",
            "meeting room, {people} people, {date}, {time}",
            "Could you get us a meeting room at {time} on {date}?",
        ),
        results=(
            {"room_number": "int:101:930", "floor": "int:1:9"},
            {"会议室": "int:101:930", "状态": ("已预订", "待确认")},
            {"预订编号": "code"},
        ),
    ),
    Concept(
        names=("print_document", "print_file", "send_to_printer", "printDoc"),
        descriptions=(
            Both("打印文档", "Print a document"),
            Both("把文档送到打印机", "Send a document to the printer"),
        ),
        params=(
            Param(("title", "document"), "title", Both("文档标题", "title of the document")),
            Param(("copies", "count"), "int:2:30", Both("打印份数", "number of copies")),
            Param(
                ("duplex", "double_sided"),
                "bool",
                Both("是否双面打印", "whether to print on both sides"),
                {
                    True: Both("双面", "double-sided"),
                    False: Both("不要双面", "not double-sided"),
                },
            ),
        ),
        asks_zh=(
            "打印《{title}》",
            "把文档《{title}》打印{copies}份",
            "《{title}》打{copies}份，{duplex}",
            "请用打印机打印《{title}》，{duplex}",
            "能帮我把《{title}》打印出来吗？",
            "我要{copies}份《{title}》的打印件，{duplex}打印",
        ),
        asks_en=(
            "Print {title}.",
            "Print {copies} copies of the document {title}",
            "Please send {title} to the printer, {duplex}",
            "I need {copies} copies of {title}, {duplex}.",
            "Can you print the document {title} for me?",
            "print {title}, {duplex}, {copies} copies",
        ),
        results=(
            {"job_id": "int:10:999", "pages": "int:1:200"},
            {"打印任务": "int:10:999", "状态": ("打印中", "排队中", "缺纸")},
        ),
    ),
    # Money
    Concept(
        names=("get_stock_price", "stock_quote", "query_stock", "fetchStockPrice"),
        descriptions=(
            Both("查询股票价格", "Get the price of a stock"),
            Both("查询股票行情", "Stock quote for a ticker"),
        ),
        params=(
            Param(("ticker", "symbol"), "ticker", Both("股票代码", "ticker of the stock")),
            Param(("date", "day"), "date", Both("交易日期", "trading date")),
            Param(("currency",), "currency", Both("价格的货币", "currency of the price")),
        ),
        asks_zh=(
            "{ticker}的股价是多少",
            "查一下股票{ticker}的价格，用{currency}表示",
            "{date}{ticker}的股票收在多少？",
            "我想知道{ticker}这只股票在{date}的行情",
            "{ticker}现在涨了没有，股价合多少{currency}",
            "请查询股票代码{ticker}，日期{date}",
        ),
        asks_en=(
            "What's the stock price of {ticker}?",
            "How much {currency} is one share of {ticker} stock?",
            "What was the price of {ticker} on {date}?",
            "Give me a stock quote for {ticker} in {currency}, please.",
            "stock {ticker} on {date}",
            "I'd like to know where the stock {ticker} closed on {date}.",
        ),
        results=(
            {"price": "float:2:900", "change_percent": "float:-9:9"},
            {"股价": "float:2:900", "涨跌幅": "float:-9:9"},
            {"最新价": "float:2:900"},
        ),
    ),
    Concept(
        names=("get_fund_value", "fund_net_value", "query_fund", "fetchFundNav"),
        descriptions=(
            Both("查询基金净值", "Get the net value of a fund"),
            Both("查询某日的基金净值", "Net value of a fund on a day"),
        ),
        params=(
            Param(("ticker", "fund_code"), "ticker", Both("基金代码", "code of the fund")),
            Param(("date",), "date", Both("净值日期", "date of the value")),
        ),
        asks_zh=(
            "基金{ticker}的净值是多少？",
            "{ticker}这只基金{date}的净值",
            "查基金{ticker}",
            "麻烦看看我的基金{ticker}净值涨了没",
            "帮我查询{date}那天基金{ticker}的净值",
            "我买的基金代码是{ticker}，在{date}净值多少",
        ),
        asks_en=(
            "What is the net value of the fund {ticker}?",
            "Check my fund {ticker} please",
            "How much was the fund {ticker} worth on {date}?",
            "fund {ticker}, net value on {date}",
            "I hold the fund {ticker}. What's its value?",
            "Please look up the value of fund {ticker} for {date}.",
        ),
        results=(
            {"net_value": "float:0:6", "daily_change": "float:-4:4"},
            {"单位净值": "float:0:6"},
            {"净值": "float:0:6", "近一年收益率": "float:-20:40"},
        ),
    ),
    Concept(
        names=("calculate_loan", "loan_calculator", "monthly_payment", "loanPayment"),
        descriptions=(
            Both("计算贷款月供", "Calculate the monthly payment of a loan"),
            Both("贷款计算器", "Loan calculator"),
        ),
        params=(
            Param(
                ("amount", "principal"),
                "int:10000:3000000",
                Both("贷款金额", "amount of the loan"),
            ),
            Param(("years", "term"), "int:2:30", Both("贷款年数", "years of the loan")),
            Param(
                ("rate", "annual_rate"), "float:1:9", Both("年利率百分数", "yearly rate, percent")
            ),
        ),
        asks_zh=(
            "贷款{amount}元，{years}年还清，每月还多少？",
            "我贷款{amount}，年利率{rate}%，分{years}年，月供是多少",
            "算一下利率{rate}%、{years}年、{amount}元的贷款月供",
            "借{amount}元，期限{years}年，帮我算算贷款",
            "{years}年期贷款，金额{amount}元，年利率百分之{rate}，请计算月供",
            "想知道贷{amount}块、还{years}年的话月供要多少",
        ),
        asks_en=(
            "What's the monthly payment on a loan of {amount} over {years} years?",
            "Calculate a loan: {amount}, {rate}% interest, {years} years.",
            "If I borrow {amount} for {years} years at {rate} percent, what do I pay monthly?",
            "I want a loan of {amount} and {years} years to pay it back. How much a month?",
            "loan calculator: {years} years, rate {rate}%, amount {amount}",
            "Please work out the payments for a {years} year loan of {amount}",
        ),
        results=(
            {"monthly_payment": "float:200:20000", "total_interest": "int:500:900000"},
            {"月供": "float:200:20000", "利息总额": "int:500:900000"},
        ),
    ),
    Concept(
        names=("calculate_tax", "income_tax", "estimate_income_tax", "incomeTaxCalc"),
        descriptions=(
            Both("计算个人所得税", "Calculate income tax"),
            Both("按国家估算收入税", "Estimate the tax on an income"),
        ),
        params=(
            Param(("income", "salary"), "int:20000:900000", Both("年收入", "yearly income")),
            Param(("country",), "country", Both("纳税国家", "country of taxation")),
        ),
        asks_zh=(
            "年收入{income}要交多少税？",
            "在{country}一年挣{income}，个人所得税是多少",
            "帮我算所得税，年收入{income}元",
            "请按{country}的规定计算年收入{income}的税",
            "我一年工资{income}，税后还剩多少",
            "收入{income}，国家{country}，估算一下要缴的税",
        ),
        asks_en=(
            "How much income tax do I pay on {income} a year?",
            "Calculate the tax on an income of {income} in {country}.",
            "I earn {income} a year, what's my tax?",
            "Estimate my income tax please, I live in {country} and make {income} a year",
            "income tax for {income}",
            "What would someone in {country} pay in tax with a salary of {income}?",
        ),
        results=(
            {"tax": "int:500:300000", "rate_percent": "float:3:45"},
            {"应纳税额": "int:500:300000", "税率": "float:3:45"},
            {"税额": "int:500:300000"},
        ),
    ),
    Concept(
        names=("query_invoice", "get_invoice", "invoice_status", "lookupInvoice"),
        descriptions=(
            Both("按号码查询发票", "Look up an invoice by number"),
            Both("查询某公司的发票", "Query an invoice of a company"),
        ),
        params=(
            Param(("code", "invoice_number"), "code", Both("发票号码", "number of the invoice")),
            Param(("company", "issuer"), "company", Both("开票公司", "company that issued it")),
            Param(("phone", "buyer_phone"), "phone", Both("买方手机号", "phone of the buyer")),
        ),
        asks_zh=(
            "查发票{code}",
            "{company}开的发票{code}付款了吗？",
            "帮我看看号码为{code}的发票金额是多少，我的手机号是{phone}",
            "请查询发票，号码{code}，开票公司{company}",
            "发票{code}是真的吗？买方手机号{phone}",
            "我收到{company}的一张发票，号码是{code}，麻烦查一下",
        ),
        asks_en=(
            "Look up invoice {code}.",
            "Has the invoice {code} from {company} been paid?",
            "What's the amount on invoice number {code}? My phone is {phone}.",
            "Please query the invoice {code}, issued by {company}.",
            "status of invoice {code}, phone of the buyer {phone}",
            "{company} sent us an invoice with the number {code}, can you check it?",
        ),
        results=(
            {"amount": "float:20:9000", "due": "date"},
            {"金额": "float:20:9000", "状态": ("已付款", "未付款", "已作废")},
            {"开票日期": "date", "金额": "float:20:9000"},
        ),
    ),
    Concept(
        names=("record_expense", "add_expense", "log_spending", "recordExpense"),
        descriptions=(
            Both("记录一笔吃饭开销", "Record an expense for food"),
            Both("记账，金额可以是算式", "Log spending, given as an expression"),
        ),
        params=(
            Param(
                ("expression", "amount"),
                "expression",
                Both("金额的算式", "expression for the amount"),
            ),
            Param(("dish", "item"), "dish", Both("吃了什么", "what was eaten")),
            Param(("currency",), "currency", Both("货币", "currency of the amount")),
        ),
        asks_zh=(
            "记一笔账，吃{dish}花了{expression}",
            "记账：{dish}，{expression}，货币是{currency}",
            "刚吃了{dish}，开销是{expression}，帮我记下来",
            "请记录一笔{dish}的支出，金额{expression}，用{currency}付的",
            "今天吃{dish}的花费是{expression}，记个账",
        ),
        asks_en=(
            "Record an expense of {expression} for {dish}.",
            "I spent {expression} on {dish}, paid in {currency}. Log it.",
            "Add {dish} to my expenses, the amount is {expression}",
            "Please log spending: {dish}, {expression}, currency {currency}",
            "We had {dish} and it cost {expression}. Can you record that expense?",
        ),
        results=(
            {"expense_id": "int:1:999", "month_total": "float:50:5000"},
            {"本月支出": "float:50:5000"},
            {"编号": "int:1:999", "状态": ("已记账", "已保存")},
        ),
    ),
    Concept(
        names=("get_bank_balance", "check_balance", "account_balance", "bankBalance"),
        descriptions=(
            Both("查询银行账户余额", "Get the balance of a bank account"),
            Both("查看账户里的余额", "Check the balance of an account"),
        ),
        params=(),
        asks_zh=(
            "我的银行账户余额是多少？",
            "查一下银行卡里还有多少钱",
            "账户余额",
            "帮我看看余额还够不够交房租",
            "请问我的账户里还剩多少",
        ),
        asks_en=(
            "What's the balance of my bank account?",
            "How much money is left in my account?",
            "Check the balance please.",
            "account balance",
            "Can I still pay the rent? Show me my bank balance.",
        ),
        results=(
            {"balance": "float:10:90000"},
            {"余额": "float:10:90000"},
            {"可用余额": "float:10:90000", "更新日期": "date"},
        ),
    ),
    Concept(
        names=("get_crypto_price", "crypto_price", "query_cryptocurrency", "fetchCoinPrice"),
        descriptions=(
            Both("查询加密货币价格", "Get the price of a cryptocurrency"),
            Both("查看数字货币的行情", "Price of a crypto coin"),
        ),
        params=(
            Param(
                ("coin", "crypto"),
                "enum",
                Both("加密货币名称", "name of the coin"),
                {
                    "bitcoin": Both("比特币", "bitcoin"),
                    "ethereum": Both("以太坊", "ethereum"),
                    "dogecoin": Both("狗狗币", "dogecoin"),
                    "litecoin": Both("莱特币", "litecoin"),
                },
            ),
            Param(("currency", "quote"), "currency", Both("计价货币", "currency of the price")),
        ),
        asks_zh=(
            "{coin}多少钱一个？",
            "用{currency}计价，{coin}现在什么价格",
            "查一下{coin}的行情",
            "一个{coin}能换多少{currency}",
            "请问加密货币{coin}的价格是多少",
            "帮我看{coin}值多少{currency}，谢谢",
        ),
        asks_en=(
            "What's the price of {coin}?",
            "How much is one {coin} in {currency}?",
            "Check the crypto price of {coin}, please.",
            "{coin} price in {currency}",
            "Is {coin} up or down? Show me the price.",
            "I'd like to know what {coin} costs in {currency}.",
        ),
        results=(
            {"price": "float:1:90000", "change_24h": "float:-15:15"},
            {"价格": "float:1:90000"},
            {"当前价格": "float:1:90000", "今日涨跌": "float:-15:15"},
        ),
    ),
    Concept(
        names=("get_gold_price", "gold_price", "query_gold", "goldValue"),
        descriptions=(
            Both("查询黄金价格", "Get the price of gold"),
            Both("计算若干克黄金的价格", "Value of some grams of gold"),
        ),
        params=(
            Param(("grams", "weight"), "float:1:500", Both("黄金克数", "grams of gold")),
            Param(("city", "market"), "city", Both("城市", "city of the market")),
        ),
        asks_zh=(
            "现在黄金什么价格？",
            "{grams}克黄金值多少钱",
            "查一下{city}的金价",
            "我有{grams}克黄金，在{city}能卖多少",
            "今天的黄金价格涨了吗",
            "请查{city}市场上{grams}克黄金的价格",
        ),
        asks_en=(
            "What's the gold price right now?",
            "How much are {grams} grams of gold worth?",
            "Check the price of gold in {city}.",
            "I have {grams} grams of gold, what would I get for it in {city}?",
            "gold price please",
            "Tell me the price of {grams} g of gold in {city}",
        ),
        results=(
            {"price": "float:50:90000"},
            {"金价": "float:400:900", "涨跌": "float:-3:3"},
            {"price_per_gram": "float:50:120", "date": "date"},
        ),
    ),
    # Music and news
    Concept(
        names=("play_music", "play_song", "music_player", "playTrack"),
        descriptions=(
            Both("播放音乐", "Play music"),
            Both("播放某位歌手的歌曲", "Play a song by a singer"),
        ),
        params=(
            Param(("title", "song"), "title", Both("歌曲名称", "title of the song")),
            Param(("person", "singer"), "person", Both("歌手姓名", "name of the singer")),
            Param(
                ("loop", "repeat"),
                "bool",
                Both("是否循环播放", "whether to play on repeat"),
                {
                    True: Both("循环播放", "on repeat"),
                    False: Both("不循环播放", "not on repeat"),
                },
            ),
        ),
        asks_zh=(
            "播放《{title}》",
            "来一首{person}唱的《{title}》",
            "我想听歌曲《{title}》，{loop}",
            "放{person}的《{title}》，{loop}",
            "请播放音乐《{title}》好吗",
            "有没有{person}的那首《{title}》？放来听听",
            "放首歌，《{title}》，要{loop}",
        ),
        asks_en=(
            "Play {title}.",
            "Play the song {title} by {person}",
            "I want to hear {title}, {loop}.",
            "Could you play {title} sung by {person}, {loop}?",
            "Put on some music: {title}",
            "play music, {title}, singer {person}, {loop}",
        ),
        results=(
            {"state": ("playing",), "duration_seconds": "int:90:420"},
            {"状态": ("正在播放", "缓冲中"), "时长秒": "int:90:420"},
        ),
    ),
    Concept(
        names=("set_volume", "speaker_volume", "adjust_volume", "setSpeakerVolume"),
        descriptions=(
            Both("调节音箱音量", "Set the volume of the speaker"),
            Both("设置某个房间的音量", "Adjust the speaker volume in a room"),
        ),
        params=(
            Param(("level", "volume"), "int:0:100", Both("音量，0到100", "volume from 0 to 100")),
            Param(("room",), "room", Both("音箱所在房间", "room of the speaker")),
        ),
        asks_zh=(
            "音量调到{level}",
            "把{room}音箱的音量设为{level}",
            "太吵了，音量改成{level}吧",
            "{room}的音箱音量调成{level}，谢谢",
            "请将音箱音量设置到{level}",
            "音量{level}，{room}",
        ),
        asks_en=(
            "Set the volume to {level}.",
            "Turn the speaker in the {room} to volume {level}",
            "It's too loud, make the volume {level}",
            "Could you adjust the {room} speaker to a volume of {level}?",
            "volume {level} please",
            "I'd like volume {level} on the speaker in the {room}.",
        ),
        results=(
            {"previous_volume": "int:0:100"},
            {"原音量": "int:0:100", "状态": ("已调节", "已设置")},
        ),
    ),
    Concept(
        names=("switch_tv_channel", "set_tv_channel", "tv_channel", "changeChannel"),
        descriptions=(
            Both("切换电视频道", "Switch the TV channel"),
            Both("把电视调到某个频道", "Set the TV to a channel"),
        ),
        params=(
            Param(("channel", "number"), "int:1:99", Both("频道号", "number of the channel")),
            Param(("room",), "room", Both("电视所在房间", "room of the TV")),
        ),
        asks_zh=(
            "电视换到{channel}频道",
            "把{room}的电视调到第{channel}频道",
            "我想看{channel}台，换一下电视频道",
            "请将电视切换到频道{channel}",
            "{room}电视，频道{channel}",
            "能不能把{room}的电视频道换成{channel}？",
        ),
        asks_en=(
            "Switch the TV to channel {channel}.",
            "Put channel {channel} on the TV in the {room}",
            "TV channel {channel} please",
            "Can you change the TV in the {room} to channel {channel}?",
            "I want to watch channel {channel} on TV.",
            "{room} TV, channel {channel}",
        ),
        results=(
            {"channel": "int:1:99", "program": "title"},
            {"正在播出": "title"},
            {"状态": ("已切换", "信号弱"), "节目": "title"},
        ),
    ),
    Concept(
        names=("search_podcasts", "podcast_search", "find_podcast", "searchPodcast"),
        descriptions=(
            Both("搜索播客节目", "Search podcasts"),
            Both("按主题和语言找播客", "Find podcasts by topic and language"),
        ),
        params=(
            Param(("topic", "subject"), "topic", Both("播客主题", "topic of the podcast")),
            Param(("language", "lang"), "language", Both("播客语言", "language of the podcast")),
            Param(
                ("minutes", "max_minutes"), "int:5:90", Both("最长分钟数", "longest, in minutes")
            ),
        ),
        asks_zh=(
            "有没有讲{topic}的播客？",
            "找个{language}的播客，主题是{topic}",
            "搜索关于{topic}的播客，不超过{minutes}分钟",
            "想听{topic}方面的{language}播客，最长{minutes}分钟",
            "推荐几个{topic}播客吧",
            "我在学{language}，请帮我搜{topic}的播客",
        ),
        asks_en=(
            "Are there podcasts about {topic}?",
            "Find a podcast in {language} on {topic}.",
            "Search podcasts about {topic}, {minutes} minutes at most",
            "I'd like a {language} podcast on {topic} no longer than {minutes} minutes",
            "podcasts about {topic} please",
            "I'm learning {language}, could you search for a podcast on {topic}?",
        ),
        results=(
            {"title": "title", "minutes": "int:5:90"},
            {"节目": "title", "评分": "float:3:5"},
            {"count": "int:1:80", "top": "title"},
        ),
    ),
    Concept(
        names=("search_news", "get_news", "news_search", "fetchNews"),
        descriptions=(
            Both("搜索新闻", "Search the news"),
            Both("按主题和国家查新闻", "Find news by topic and country"),
        ),
        params=(
            Param(("topic", "query"), "topic", Both("新闻主题", "topic of the news")),
            Param(("country", "region"), "country", Both("新闻所在国家", "country of the news")),
            Param(("language",), "language", Both("新闻语言", "language of the news")),
        ),
        asks_zh=(
            "有什么关于{topic}的新闻？",
            "搜一下{country}的{topic}新闻",
            "我要看{language}的{topic}新闻",
            "最近{country}在{topic}方面有什么新闻，要{language}的",
            "查{topic}的最新新闻",
            "请帮我搜索{country}有关{topic}的{language}新闻",
        ),
        asks_en=(
            "What's in the news about {topic}?",
            "Search for {topic} news from {country}.",
            "Show me {language} news on {topic}",
            "Any news about {topic} in {country}? In {language}, please.",
            "latest news on {topic}",
            "I'd like to read news in {language} about {topic} from {country}",
        ),
        results=(
            {"articles": "int:1:200", "latest": "date"},
            {"新闻条数": "int:1:200"},
            {"来源": "company", "发布日期": "date"},
        ),
    ),
    # Home
    Concept(
        names=("control_lamp", "set_light", "switch_lamp", "lampControl"),
        descriptions=(
            Both("控制房间的灯", "Control the lamp in a room"),
            Both("开灯、关灯或调亮度", "Switch a lamp or set its brightness"),
        ),
        params=(
            Param(("room",), "room", Both("灯所在的房间", "room of the lamp")),
            Param(
                ("on", "power"),
                "bool",
                Both("开灯还是关灯", "whether the lamp is on"),
                {True: Both("打开", "on"), False: Both("关掉", "off")},
            ),
            Param(
                ("brightness", "level"), "int:1:100", Both("亮度百分数", "brightness in percent")
            ),
        ),
        asks_zh=(
            "{on}{room}的灯",
            "把{room}的灯{on}",
            "{room}的灯亮度调到{brightness}%",
            "麻烦把{room}灯的亮度设为{brightness}",
            "请帮我{on}{room}里的灯好吗",
            "{room}太刺眼，灯的亮度改成{brightness}",
        ),
        asks_en=(
            "Turn {on} the lamp in the {room}.",
            "Switch the {room} lamp {on}",
            "Set the lamp in the {room} to {brightness}% brightness",
            "Could you turn the light in the {room} {on}, please?",
            "Make the brightness of the {room} lamp {brightness} percent.",
            "{room} lamp, brightness {brightness}",
        ),
        results=(
            {"brightness": "int:1:100", "watts": "float:1:20"},
            {"状态": ("已完成", "执行成功"), "功率": "float:1:20"},
        ),
    ),
    Concept(
        names=("set_thermostat", "thermostat_control", "set_room_temperature", "setHeating"),
        descriptions=(
            Both("设置温控器温度", "Set the thermostat temperature"),
            Both("调节房间的温度", "Adjust the temperature of a room"),
        ),
        params=(
            Param(
                ("degrees", "temperature"), "float:15:30", Both("目标温度", "target temperature")
            ),
            Param(("room", "zone"), "room", Both("房间", "the room")),
            Param(
                ("mode",),
                "enum",
                Both("运行模式", "mode of the thermostat"),
                {
                    "heat": Both("制热", "heat"),
                    "cool": Both("制冷", "cool"),
                    "auto": Both("自动", "auto"),
                },
            ),
        ),
        asks_zh=(
            "温度调到{degrees}度",
            "把{room}的温度设成{degrees}度",
            "温控器用{mode}模式，{degrees}度",
            "{room}开{mode}模式，温度{degrees}度",
            "有点不舒服，请把{room}温度改为{degrees}度",
            "设置温控器：{degrees}度，{mode}",
        ),
        asks_en=(
            "Set the thermostat to {degrees} degrees.",
            "Make the {room} {degrees} degrees, please.",
            "Thermostat to {mode} mode at {degrees} degrees",
            "I'd like {degrees} degrees in the {room}, use {mode} mode",
            "Could you adjust the temperature of the {room} to {degrees}?",
            "thermostat {degrees} degrees, {mode}",
        ),
        results=(
            {"current": "float:10:32", "minutes_to_target": "int:2:60"},
            {"当前温度": "float:10:32"},
            {"室温": "float:10:32", "状态": ("运行中", "已设置")},
        ),
    ),
    Concept(
        names=("control_curtains", "move_curtains", "set_curtain", "curtainControl"),
        descriptions=(
            Both("控制窗帘开合", "Open or close the curtains"),
            Both("把窗帘开到某个程度", "Move the curtains to a position"),
        ),
        params=(
            Param(
                ("action",),
                "enum",
                Both("打开或关上", "open or close"),
                {"open": Both("打开", "open"), "close": Both("关上", "close")},
            ),
            Param(("room",), "room", Both("窗帘所在房间", "room of the curtains")),
            Param(("time", "at"), "time", Both("执行时间", "when to do it")),
        ),
        asks_zh=(
            "{action}窗帘",
            "把{room}的窗帘{action}",
            "请在{time}{action}{room}的窗帘",
            "{time}的时候帮我把窗帘{action}",
            "能{action}{room}的窗帘吗？",
            "到{time}就{action}窗帘，谢谢",
        ),
        asks_en=(
            "{action} the curtains, please.",
            "Please {action} the curtains in the {room}.",
            "At {time}, {action} the {room} curtains",
            "Can you {action} the curtains at {time}?",
            "I'd like you to {action} the {room} curtains.",
            "{action} curtains at {time}",
        ),
        results=(
            {"position_percent": "int:0:100"},
            {"开合度": "int:0:100", "状态": ("已完成", "移动中")},
        ),
    ),
    Concept(
        names=("start_vacuum", "robot_vacuum", "vacuum_floor", "runVacuum"),
        descriptions=(
            Both("启动扫地机器人", "Start the vacuum robot"),
            Both("让扫地机器人打扫地板", "Let the robot vacuum the floor"),
        ),
        params=(),
        asks_zh=(
            "让扫地机器人开始打扫",
            "地板有点脏，叫扫地机器人来扫一下",
            "启动扫地机器人",
            "请让扫地机器人干活吧",
            "能用扫地机器人把家里扫一遍吗？",
        ),
        asks_en=(
            "Start the vacuum robot.",
            "The floor is dirty, send the robot please",
            "Could the robot vacuum the floor?",
            "vacuum the house",
            "Have the vacuum robot clean up, thanks.",
        ),
        results=(
            {"battery_percent": "int:10:100", "minutes": "int:5:60"},
            {"电量": "int:10:100", "状态": ("打扫中", "出发了", "充电中")},
        ),
    ),
    Concept(
        names=("lock_door", "door_lock", "smart_lock", "doorLockControl"),
        descriptions=(
            Both("控制智能门锁", "Control the door lock"),
            Both("锁门或用密码开锁", "Lock or unlock a door"),
        ),
        params=(
            Param(
                ("door",),
                "enum",
                Both("哪扇门", "which door"),
                {
                    "front": Both("前门", "front"),
                    "back": Both("后门", "back"),
                    "garage": Both("车库门", "garage"),
                },
            ),
            Param(
                ("locked", "lock"),
                "bool",
                Both("上锁还是开锁", "locked or unlocked"),
                {True: Both("上锁", "lock"), False: Both("开锁", "unlock")},
            ),
            Param(("code", "pin"), "code", Both("门锁密码", "code for the lock")),
        ),
        asks_zh=(
            "给{door}{locked}",
            "{door}{locked}，密码{code}",
            "请帮我给{door}{locked}",
            "用密码{code}给{door}{locked}",
            "我要给{door}{locked}，门锁密码是{code}",
            "{door}能{locked}吗？麻烦了",
        ),
        asks_en=(
            "Please {locked} the {door} door.",
            "{locked} the {door} door with the code {code}",
            "Can you {locked} the {door} door for me?",
            "The code is {code}, {locked} the {door} door.",
            "{locked} {door} door",
            "I want to {locked} the {door} door, lock code {code}",
        ),
        results=(
            {"battery_percent": "int:5:100", "changed_at": "time"},
            {"门锁状态": ("操作成功", "已完成"), "电量": "int:5:100"},
        ),
    ),
    Concept(
        names=("view_camera", "security_camera", "camera_events", "checkCamera"),
        descriptions=(
            Both("查看监控摄像头", "Check a security camera"),
            Both("查看某地的监控录像", "Camera recordings of a place"),
        ),
        params=(
            Param(("place", "location"), "place", Both("摄像头所在地点", "place of the camera")),
            Param(("date",), "date", Both("录像日期", "date of the recording")),
            Param(("time",), "time", Both("录像时间", "time of the recording")),
        ),
        asks_zh=(
            "看一下{place}的监控",
            "{place}的摄像头{date}拍到什么了？",
            "调出{place}监控，{date}{time}的录像",
            "{place}那边有人吗，查查摄像头",
            "我要看{date}{time}{place}的监控录像",
            "请打开{place}的监控摄像头",
        ),
        asks_en=(
            "Show the security camera at {place}.",
            "What did the camera at {place} record on {date}?",
            "Play the camera recording from {place}, {date} at {time}",
            "Is anyone at {place}? Check the camera.",
            "I need the security camera footage of {date}, {time}, at {place}.",
            "check camera {place}",
        ),
        results=(
            {"motion_events": "int:0:30", "last_motion": "time"},
            {"画面": ("正常", "有人经过", "无人")},
            {"移动次数": "int:0:30", "最近一次": "time"},
        ),
    ),
    Concept(
        names=("get_car_charge", "car_battery_status", "ev_charge_status", "carChargeStatus"),
        descriptions=(
            Both("查询电动车充电状态", "Charge status of the electric car"),
            Both("查看汽车电量", "Check the battery of the car"),
        ),
        params=(),
        asks_zh=(
            "我的车充好电了吗？",
            "车还剩多少电",
            "查看电动车的充电状态",
            "汽车电量够不够跑一趟远路？",
            "请问车现在充到百分之几了",
            "帮我看看车子充电还要多久",
        ),
        asks_en=(
            "Is my car charged?",
            "How much battery does the car have left?",
            "Check the charge status of my electric car, please.",
            "car charge?",
            "When will the car be done charging?",
            "I want to know how full the battery of my car is.",
        ),
        results=(
            {"charge_percent": "int:3:100", "range_km": "int:10:600"},
            {"电量": "int:3:100", "状态": ("充电中", "已充满", "未充电")},
            {"剩余里程": "int:10:600"},
        ),
    ),
    Concept(
        names=("start_washing", "washing_machine", "run_washer", "startWasher"),
        descriptions=(
            Both("启动洗衣机", "Start the washing machine"),
            Both("按程序和水温洗衣服", "Wash clothes with a program"),
        ),
        params=(
            Param(
                ("program", "cycle"),
                "enum",
                Both("洗衣程序", "washing program"),
                {
                    "quick": Both("快洗", "quick"),
                    "cotton": Both("棉织物", "cotton"),
                    "wool": Both("羊毛", "wool"),
                },
            ),
            Param(("degrees", "water_temperature"), "int:20:90", Both("水温", "water temperature")),
            Param(
                ("dry",),
                "bool",
                Both("洗完是否烘干", "whether to dry afterwards"),
                {True: Both("要烘干", "with drying"), False: Both("不烘干", "without drying")},
            ),
        ),
        asks_zh=(
            "洗衣机开{program}程序",
            "用{program}模式洗衣服，水温{degrees}度",
            "启动洗衣机，{program}，{dry}",
            "请洗衣机用{degrees}度的水，{program}程序，{dry}",
            "衣服放好了，洗衣机选{program}开始洗吧",
            "帮我用{program}程序洗一下，洗完{dry}",
        ),
        asks_en=(
            "Start the washing machine with the {program} program.",
            "Wash at {degrees} degrees, {program} program",
            "Run the washer on {program}, {dry}.",
            "Please wash my clothes, {program} program, {degrees} degrees, {dry}",
            "Can you start a {program} wash?",
            "washing machine, {program}, {dry}",
        ),
        results=(
            {"minutes_left": "int:15:180"},
            {"剩余分钟": "int:15:180", "状态": ("洗衣中", "注水中")},
        ),
    ),
    # Calculation and small helpers
    Concept(
        names=("convert_units", "unit_converter", "unit_conversion", "convertUnit"),
        descriptions=(
            Both("单位换算", "Convert units"),
            Both("把数值换算成其他单位", "Convert a value to another unit"),
        ),
        params=(
            Param(("value", "number"), "float:1:1000", Both("要换算的数值", "value to convert")),
            Param(
                ("source", "from_unit"),
                "enum",
                Both("原来的单位", "unit to convert from"),
                {
                    "mile": Both("英里", "mile"),
                    "meter": Both("米", "meter"),
                    "foot": Both("英尺", "foot"),
                },
            ),
            Param(
                ("target", "to_unit"),
                "enum",
                Both("目标单位", "unit to convert to"),
                {
                    "kilometer": Both("公里", "kilometer"),
                    "inch": Both("英寸", "inch"),
                    "centimeter": Both("厘米", "centimeter"),
                },
            ),
        ),
        asks_zh=(
            "{value}{source}等于多少{target}？",
            "把{value}{source}换算成{target}",
            "单位换算，{value}{source}是几{target}",
            "请问{value}{source}换成{target}是多少",
            "帮我算一下，多少{target}等于{value}{source}",
        ),
        asks_en=(
            "Convert {value} from {source} to {target}.",
            "What is {value} {source} in the unit {target}?",
            "Please convert units: {value} {source} to {target}",
            "I have a length of {value} in {source}, how much is it in {target}?",
            "{value} {source} to {target}",
        ),
        results=(
            {"value": "float:0:5000"},
            {"结果": "float:0:5000"},
            {"换算结果": "float:0:5000", "精度": ("近似", "准确")},
        ),
    ),
    Concept(
        names=("calculate", "calculator", "evaluate_expression", "computeExpression"),
        descriptions=(
            Both("计算算式的结果", "Calculate an expression"),
            Both("四则运算计算器", "Calculator for arithmetic"),
        ),
        params=(
            Param(
                ("expression", "formula"),
                "expression",
                Both("要计算的算式", "expression to calculate"),
            ),
            Param(("digits", "precision"), "int:2:6", Both("保留小数位数", "decimal places")),
        ),
        asks_zh=(
            "{expression}等于多少",
            "计算{expression}",
            "算一下{expression}，保留{digits}位小数",
            "请问{expression}的结果是多少？",
            "用计算器算{expression}，小数点后{digits}位",
            "帮我算算{expression}，结果要{digits}位小数，谢谢",
        ),
        asks_en=(
            "What is {expression}?",
            "Calculate {expression}.",
            "Work out {expression} to {digits} decimal places",
            "Could you compute {expression} for me?",
            "calculator: {expression}, {digits} decimal places",
            "I need the result of {expression} with {digits} decimal places, please.",
        ),
        results=(
            {"result": "float:-500:9000"},
            {"结果": "float:-500:9000"},
            {"result": "int:-500:9000"},
        ),
    ),
    Concept(
        names=("random_number", "generate_random", "draw_number", "randomInt"),
        descriptions=(
            Both("生成随机数", "Generate a random number"),
            Both("在范围内取随机数", "Draw a random number from a range"),
        ),
        params=(
            Param(("low", "min"), "int:0:50", Both("最小值", "smallest number")),
            Param(("high", "max"), "int:60:1000", Both("最大值", "largest number")),
        ),
        asks_zh=(
            "给我一个{low}到{high}之间的随机数",
            "随机数，最小{low}，最大{high}",
            "从{low}到{high}里随便挑一个数",
            "请生成随机数，范围是{low}至{high}",
            "抽个号，最大是{high}，最小是{low}",
        ),
        asks_en=(
            "Give me a random number between {low} and {high}.",
            "random number from {low} to {high}",
            "Pick any number from {low} up to {high}, please",
            "Can you draw a number that is at least {low} and at most {high}?",
            "I need a random number, the largest is {high} and the smallest {low}",
        ),
        results=(
            {"number": "int:0:1000"},
            {"随机数": "int:0:1000"},
        ),
    ),
    Concept(
        names=("generate_password", "password_generator", "make_password", "newPassword"),
        descriptions=(
            Both("生成安全密码", "Generate a safe password"),
            Both("按长度生成密码", "Make a password of some length"),
        ),
        params=(
            Param(("length", "size"), "int:6:32", Both("密码长度", "length of the password")),
            Param(
                ("symbols", "use_symbols"),
                "bool",
                Both("是否包含符号", "whether it has symbols"),
                {
                    True: Both("包含符号", "with symbols"),
                    False: Both("不含符号", "without symbols"),
                },
            ),
            Param(("phone", "account"), "phone", Both("密码所属手机号", "phone number it is for")),
        ),
        asks_zh=(
            "生成一个{length}位的密码",
            "我要一个{length}位密码，{symbols}",
            "给手机号{phone}生成{length}位的新密码",
            "帮手机号{phone}设一个{length}位的密码，要求{symbols}",
            "请给我长度为{length}的安全密码",
            "密码长度{length}，{symbols}，谢谢",
        ),
        asks_en=(
            "Generate a password of {length} characters.",
            "I need a {length} character password {symbols}.",
            "Make a new password for the phone number {phone}, length {length}",
            "Could you generate a password {symbols} for {phone}? {length} characters.",
            "password, {length} characters please",
            "Please give me a safe password {symbols}, length {length}",
        ),
        results=(
            {"password": "code", "strength": "int:1:5"},
            {"密码": "code"},
            {"新密码": "code", "强度": ("强", "中等", "很强")},
        ),
    ),
    Concept(
        names=("create_qr_code", "generate_qr", "qr_code", "makeQrCode"),
        descriptions=(
            Both("为网址生成二维码", "Create a QR code for a link"),
            Both("把链接做成二维码", "Turn a link into a QR code"),
        ),
        params=(
            Param(("url", "content"), "url", Both("二维码里的网址", "link in the QR code")),
            Param(("pixels", "size"), "int:100:1000", Both("图片大小，像素", "size in pixels")),
        ),
        asks_zh=(
            "给{url}生成二维码",
            "把{url}做成一个{pixels}像素的二维码",
            "请为网址{url}制作二维码",
            "我需要{url}的二维码，大小{pixels}像素",
            "二维码，链接是{url}",
            "能用{url}这个链接生成宽{pixels}像素的二维码吗？",
        ),
        asks_en=(
            "Create a QR code for {url}.",
            "Make a {pixels} pixel QR code of {url}",
            "Can you turn {url} into a QR code?",
            "I want a QR code with the link {url}, {pixels} pixels wide",
            "QR code {url}",
            "Please create a QR code, size {pixels} pixels, link {url}.",
        ),
        results=(
            {"image": "url"},
            {"图片地址": "url", "像素": "int:100:1000"},
        ),
    ),
    Concept(
        names=("shorten_url", "url_shortener", "short_link", "shortenLink"),
        descriptions=(
            Both("把长网址变短", "Shorten a link"),
            Both("生成短链接", "Make a short link"),
        ),
        params=(
            Param(("url", "long_url"), "url", Both("要缩短的网址", "link to shorten")),
            Param(("word", "alias"), "word", Both("短链接的名称", "name of the short link")),
        ),
        asks_zh=(
            "把{url}变成短链接",
            "缩短这个网址：{url}",
            "给{url}生成短链接，名称用{word}",
            "网址{url}太长了，帮我弄短一点",
            "我想要一个名称为{word}的短链接，指向{url}",
            "请缩短{url}，短链接就叫{word}",
        ),
        asks_en=(
            "Shorten {url}.",
            "Make a short link for {url} please",
            "Turn {url} into a short link with the name {word}",
            "This link is too long: {url}. Can you shorten it?",
            "I'd like a short link called {word} for {url}.",
            "short link, name {word}, to {url}",
        ),
        results=(
            {"short_url": "url"},
            {"短链接": "url"},
            {"短网址": "url", "有效天数": "int:7:365"},
        ),
    ),
    # Software
    Concept(
        names=("server_status", "check_server", "get_server_health", "serverHealth"),
        descriptions=(
            Both("查询服务器状态", "Check the status of a server"),
            Both("查看服务器是否正常", "See whether a server is up"),
        ),
        params=(
            Param(("url", "server"), "url", Both("服务器地址", "address of the server")),
            Param(("email", "notify"), "email", Both("接收报告的邮箱", "email for the report")),
        ),
        asks_zh=(
            "服务器{url}正常吗？",
            "查一下{url}的服务器状态",
            "检查服务器{url}，报告发到{email}",
            "{url}打不开了，看看服务器是不是挂了",
            "请查看服务器{url}的状态，并把报告寄给{email}",
            "麻烦检查{url}这台服务器，结果发{email}",
        ),
        asks_en=(
            "Is the server {url} up?",
            "Check the status of {url}",
            "Check the server {url} and send the report to {email}.",
            "{url} doesn't load, is the server down?",
            "Please look at the server status of {url}, report to {email}",
            "I'd like {email} to get a status report about the server {url}.",
        ),
        results=(
            {"cpu_percent": "int:1:100", "latency_ms": "int:5:900"},
            {"状态": ("正常", "无响应", "负载过高"), "延迟毫秒": "int:5:900"},
            {"uptime_days": "int:0:400"},
        ),
    ),
    Concept(
        names=("deploy_software", "deploy_version", "release_build", "deployApp"),
        descriptions=(
            Both("部署软件版本", "Deploy a version of the software"),
            Both("把构建发布到环境", "Release a build to an environment"),
        ),
        params=(
            Param(("code", "build"), "code", Both("构建编号", "number of the build")),
            Param(
                ("environment", "env"),
                "enum",
                Both("目标环境", "target environment"),
                {
                    "production": Both("生产", "production"),
                    "staging": Both("预发布", "staging"),
                    "test": Both("测试", "test"),
                },
            ),
            Param(
                ("backup", "with_backup"),
                "bool",
                Both("部署前是否备份", "whether to back up first"),
                {True: Both("先备份", "with a backup"), False: Both("不备份", "without a backup")},
            ),
        ),
        asks_zh=(
            "把构建{code}部署到{environment}环境",
            "部署{code}到{environment}环境，{backup}",
            "{environment}环境上线{code}，{backup}",
            "请将{code}这个构建发布到{environment}环境",
            "能部署一下吗？构建{code}，环境是{environment}",
            "{backup}，然后往{environment}环境部署构建{code}",
        ),
        asks_en=(
            "Deploy build {code} to {environment}.",
            "Deploy {code} to the {environment} environment {backup}",
            "Please release the build {code} to {environment}.",
            "Can we get {code} on {environment}? Deploy it {backup}.",
            "deploy {code} {environment}",
            "I'd like to deploy the build {code} {backup} to {environment}",
        ),
        results=(
            {"deployment_id": "int:100:9999", "seconds": "int:10:600"},
            {"部署状态": ("成功", "进行中", "失败")},
            {"耗时秒": "int:10:600", "状态": ("成功", "进行中")},
        ),
    ),
    Concept(
        names=("query_database", "database_query", "fetch_records", "queryTable"),
        descriptions=(
            Both("查询数据库记录", "Query records in the database"),
            Both("从数据库的表中取记录", "Fetch records from a database table"),
        ),
        params=(
            Param(
                ("table",),
                "enum",
                Both("数据表", "the table"),
                {
                    "orders": Both("订单", "orders"),
                    "customers": Both("客户", "customers"),
                    "suppliers": Both("供应商", "suppliers"),
                },
            ),
            Param(("company", "filter"), "company", Both("只查这家公司", "only for this company")),
            Param(("limit", "rows"), "int:5:200", Both("最多行数", "most rows to return")),
        ),
        asks_zh=(
            "查数据库里的{table}表",
            "从数据库取{company}的{table}记录",
            "{table}表里查{limit}条记录",
            "数据库里{company}的{table}数据，最多{limit}行",
            "请查询数据库的{table}表，看有多少记录",
            "我要{company}在{table}表中的记录，{limit}条就行",
        ),
        asks_en=(
            "Query the {table} table of the database.",
            "Fetch the {table} records for {company}",
            "Get {limit} rows from the {table} table, please.",
            "Which {table} does the database have for {company}? {limit} rows at most.",
            "How many records are in the {table} table?",
            "I need up to {limit} database records of {company} from {table}",
        ),
        results=(
            {"rows": "int:0:5000", "milliseconds": "int:1:900"},
            {"记录数": "int:0:5000"},
            {"行数": "int:0:5000", "最近更新": "date"},
        ),
    ),
    Concept(
        names=("create_issue", "open_ticket", "report_bug", "createTicket"),
        descriptions=(
            Both("为产品创建问题单", "Create an issue for a product"),
            Both("提交产品的问题", "Report an issue with a product"),
        ),
        params=(
            Param(
                ("product", "component"), "product", Both("出问题的产品", "product with the issue")
            ),
            Param(("text", "details"), "text", Both("问题描述", "description of the issue")),
            Param(("person", "assignee"), "person", Both("负责人", "who is to handle it")),
        ),
        asks_zh=(
            "给{product}提个问题单：{text}",
            "创建问题单，产品{product}，描述“{text}”，负责人{person}",
            "{product}有问题，“{text}”，交给{person}处理",
            "请帮我提交一个{product}的问题，描述是“{text}”",
            "新建问题单，产品是{product}，内容写“{text}”",
            "让{person}负责{product}的这个问题单：{text}",
        ),
        asks_en=(
            'Create an issue for {product}: "{text}"',
            'Open an issue with {product}, assign it to {person}, details: "{text}"',
            'Please report an issue for the {product}, description "{text}".',
            'There is an issue with the {product}: "{text}". {person} should handle it.',
            'new issue, product {product}, "{text}"',
            'I want to give {person} an issue about the {product}. It says "{text}"',
        ),
        results=(
            {"issue_number": "int:1:9999"},
            {"问题单号": "int:1:9999", "状态": ("待处理", "已分配")},
        ),
    ),
    Concept(
        names=("search_logs", "log_search", "query_logs", "findInLogs"),
        descriptions=(
            Both("搜索日志", "Search the logs"),
            Both("按级别和关键词查日志", "Find log lines by word and level"),
        ),
        params=(
            Param(("word", "keyword"), "word", Both("日志关键词", "word in the log")),
            Param(
                ("level", "severity"),
                "enum",
                Both("日志级别", "level of the log"),
                {
                    "error": Both("error", "error"),
                    "warning": Both("warning", "warning"),
                    "info": Both("info", "info"),
                },
            ),
            Param(("date", "day"), "date", Both("日志日期", "date of the log")),
        ),
        asks_zh=(
            "在日志里搜{word}",
            "查{date}的日志，关键词{word}",
            "{level}级别的日志里有没有{word}？",
            "搜索{date}含有{word}的{level}日志",
            "帮我看看日志中出现过几次{word}",
            "请找出关键词为{word}的日志，级别{level}，日期{date}",
        ),
        asks_en=(
            "Search the logs for {word}.",
            "Does {word} show up in the logs of {date}?",
            "Find {word} in the {level} logs",
            "Search the {level} log of {date} for the word {word}, please",
            "how often is {word} in the log",
            "I'm looking for {level} log lines with {word} from {date}.",
        ),
        results=(
            {"matches": "int:0:900", "last_seen": "time"},
            {"匹配行数": "int:0:900"},
            {"次数": "int:0:900", "最近出现": "time"},
        ),
    ),
    Concept(
        names=("lookup_domain", "domain_lookup", "whois_query", "domainInfo"),
        descriptions=(
            Both("查询域名信息", "Look up a domain"),
            Both("查询域名的注册情况", "Registration details of a domain"),
        ),
        params=(Param(("url", "domain"), "url", Both("要查的域名", "domain to look up")),),
        asks_zh=(
            "查一下域名{url}",
            "域名{url}是谁注册的？",
            "{url}这个域名什么时候到期",
            "请帮我查询域名{url}的注册信息",
            "我想知道{url}的域名归哪家公司",
        ),
        asks_en=(
            "Look up the domain {url}.",
            "Who registered the domain {url}?",
            "When does the domain {url} expire?",
            "domain info for {url} please",
            "Could you check who owns the domain of {url}?",
        ),
        results=(
            {"owner": "company", "expires": "date"},
            {"注册人": "company", "到期日期": "date"},
            {"国家": "country", "注册日期": "date"},
        ),
    ),
    Concept(
        names=("get_local_time", "world_clock", "time_zone_clock", "currentTimeIn"),
        descriptions=(
            Both("查询某城市的当地时间", "Get the local time of a city"),
            Both("世界时钟", "World clock for a city"),
        ),
        params=(
            Param(("city", "place"), "city", Both("城市名称", "name of the city")),
            Param(
                ("format", "clock"),
                "enum",
                Both("时间格式", "format of the time"),
                {
                    "24h": Both("24小时制", "24-hour"),
                    "12h": Both("12小时制", "12-hour"),
                },
            ),
        ),
        asks_zh=(
            "{city}现在几点？",
            "查一下{city}的当地时间",
            "用{format}告诉我{city}的时间",
            "我要给{city}的朋友打电话，那边几点了",
            "请问{city}的当地时间是多少，{format}",
            "{city}时间，要{format}的",
        ),
        asks_en=(
            "What time is it in {city}?",
            "Local time in {city}, please.",
            "Show the time in {city} on a {format} clock",
            "I want to call a friend in {city}, how late is it there?",
            "Tell me the local time of {city} in {format} format.",
            "{city} time, {format} clock",
        ),
        results=(
            {"time": "time"},
            {"当地时间": "time"},
            {"时间": "time", "日期": "date"},
        ),
    ),
)
