"""Tools for evaluation only: no model is trained on them."""

from recipe.concept import Both, Concept, Param

CONCEPTS: tuple[Concept, ...] = (
    Concept(
        names=("get_earthquakes", "earthquake_reports", "list_quakes", "fetchEarthquakes"),
        descriptions=(
            Both("查询某国的地震报告", "Get earthquake reports of a country"),
            Both("列出最近的地震", "List recent earthquakes"),
        ),
        params=(
            Param(("country", "nation"), "country", Both("国家名称", "name of the country")),
            Param(
                ("min_magnitude", "magnitude"),
                "float:3:7",
                Both("最小震级", "lowest magnitude"),
            ),
            Param(
                ("language", "report_language"),
                "language",
                Both("报告所用的语言", "language of the report"),
            ),
        ),
        asks_zh=(
            "{country}最近有地震吗",
            "查一下{country}{min_magnitude}级以上的地震",
            "请用{language}给我一份{country}的地震报告",
            "{country}有没有震级超过{min_magnitude}的地震？报告用{language}写",
            "想看{country}的地震报告，震级最小{min_magnitude}",
            "帮我列出{country}最近的地震，语言用{language}",
        ),
        asks_en=(
            "Have there been any earthquakes in {country}?",
            "List the earthquakes in {country} above magnitude {min_magnitude}.",
            "I'd like the earthquake report of {country} in {language}, please.",
            "Any quakes of magnitude {min_magnitude} or more in {country}? Report in {language}.",
            "earthquake reports {country}, magnitude {min_magnitude} and up",
            "Show me recent earthquakes in {country}, with the report language set to {language}.",
        ),
        results=(
            {"count": "int:1:20", "strongest": "float:3:8"},
            {"地震次数": "int:1:20", "最大震级": "float:3:8"},
            {"city": "city", "date": "date", "magnitude": "float:3:8"},
        ),
    ),
    Concept(
        names=("lottery_results", "get_lottery_numbers", "check_lottery_draw", "lotteryDraw"),
        descriptions=(
            Both("查询彩票开奖结果", "Look up lottery results"),
            Both("查看某期彩票的开奖号码", "Winning numbers of a lottery draw"),
        ),
        params=(
            Param(
                ("game", "lottery"),
                "enum",
                Both("彩票种类", "kind of lottery"),
                {
                    "双色球": Both("双色球", "双色球"),
                    "大乐透": Both("大乐透", "大乐透"),
                    "七乐彩": Both("七乐彩", "七乐彩"),
                },
            ),
            Param(("draw", "issue"), "int:101:360", Both("期号", "number of the draw")),
        ),
        asks_zh=(
            "{game}开奖结果是什么",
            "查一下{game}第{draw}期的开奖号码",
            "第{draw}期{game}开了什么号",
            "麻烦看看{game}的彩票结果",
            "我买了{game}，期号{draw}，帮我查开奖结果",
            "彩票{game}最新一期开的什么号码？",
        ),
        asks_en=(
            "What are the {game} lottery results?",
            "Look up the winning numbers of {game} for draw {draw}.",
            "In draw number {draw} of {game}, which numbers won?",
            "Please check the latest {game} results.",
            "I played the {game} lottery, draw {draw}. What was the result?",
            "{game} winning numbers please",
        ),
        results=(
            {"red": "int:1:33", "blue": "int:1:16"},
            {"开奖日期": "date", "奖池": "int:1000:9000"},
            {"draw": "int:101:360", "winners": "int:0:12"},
        ),
    ),
    Concept(
        names=(
            "book_blood_donation",
            "blood_donation_appointment",
            "schedule_donation",
            "donateBlood",
        ),
        descriptions=(
            Both("预约献血", "Book a blood donation appointment"),
            Both("登记献血的日期和血型", "Register day and type for donating blood"),
        ),
        params=(
            Param(("date", "day"), "date", Both("献血日期", "date of the donation")),
            Param(
                ("blood_type", "type"),
                "enum",
                Both("血型", "blood type"),
                {
                    "A": Both("A型", "type A"),
                    "B": Both("B型", "type B"),
                    "O": Both("O型", "type O"),
                    "AB": Both("AB型", "type AB"),
                },
            ),
            Param(
                ("phone", "phone_number"),
                "phone",
                Both("献血者的电话", "phone number of the donor"),
            ),
        ),
        asks_zh=(
            "我想预约{date}献血",
            "{date}去献血，我是{blood_type}血，帮我预约",
            "帮我登记献血，日期{date}，电话{phone}",
            "我的血型是{blood_type}，请预约{date}的献血",
            "预约献血：{date}，{blood_type}，联系电话{phone}",
            "我的电话是{phone}，想在{date}献血，可以预约吗？",
        ),
        asks_en=(
            "I'd like to donate blood on {date}.",
            "Book a blood donation for {date}. My blood is {blood_type}.",
            "Can you make a blood donation appointment on {date}? My number is {phone}.",
            "I am {blood_type} and want to give blood on {date}, please book it.",
            "Blood donation appointment: {date}, {blood_type}, phone {phone}.",
            "Please register me to donate blood on {date}; you can reach me at {phone}.",
        ),
        results=(
            {"appointment": "code", "time": "time"},
            {"预约号": "code", "地点": "place"},
            {"time": "time", "room": "room", "nurse": "person"},
        ),
    ),
    Concept(
        names=("rent_bicycle", "bicycle_rental", "hire_bike", "rentBike"),
        descriptions=(
            Both("租一辆自行车", "Rent a bicycle"),
            Both("在指定地点租自行车", "Hire a bicycle at a place"),
        ),
        params=(
            Param(("place", "pickup_place"), "place", Both("取车地点", "where to pick it up")),
            Param(
                ("size", "frame_size"),
                "enum",
                Both("车的大小", "size of the bicycle"),
                {
                    "small": Both("small", "small"),
                    "medium": Both("medium", "medium"),
                    "large": Both("large", "large"),
                },
            ),
        ),
        asks_zh=(
            "我要在{place}租自行车",
            "帮我租一辆{size}号的自行车，在{place}取",
            "{place}能租到{size}尺寸的自行车吗？能的话租一辆",
            "请在{place}给我租辆自行车",
            "租自行车，大小{size}，取车地点{place}",
            "我到{place}了，想租一辆自行车骑骑",
        ),
        asks_en=(
            "I want to rent a bicycle at {place}.",
            "Rent me a {size} bicycle, I'll pick it up at {place}.",
            "Could you hire a bicycle for me at {place}? Size {size}, please.",
            "Please get me a rental bicycle at {place}.",
            "bicycle rental, size {size}, pick-up place {place}",
            "I'm at {place} and need a bicycle to rent.",
        ),
        results=(
            {"bike": "code", "price": "float:2:20"},
            {"车号": "code", "每小时价格": "float:2:20"},
            {"lock_code": "int:1000:9999", "return_by": "time"},
        ),
    ),
    Concept(
        names=("get_snow_depth", "ski_slope_snow", "slope_snow_report", "snowDepth"),
        descriptions=(
            Both("查询滑雪场的积雪深度", "Get the snow depth on the ski slope"),
            Both("雪道现在的雪有多厚", "How deep the ski slope's snow is"),
        ),
        params=(),
        asks_zh=(
            "滑雪场的雪现在有多深",
            "查一下雪道的积雪深度",
            "雪道上的雪够厚吗？",
            "请告诉我滑雪场积雪多少厘米",
            "想去滑雪，先看看雪有多厚",
        ),
        asks_en=(
            "How deep is the snow on the ski slope?",
            "Check the snow depth of the slope, please.",
            "Is there enough snow for skiing?",
            "snow depth on the slope",
            "I'm thinking of going skiing. Tell me how much snow the slope has.",
        ),
        results=(
            {"depth_cm": "int:10:180"},
            {"积雪厘米": "int:10:180", "气温": "int:-20:2"},
            {"top_cm": "int:60:200", "bottom_cm": "int:10:60", "measured_at": "time"},
        ),
    ),
    Concept(
        names=("get_fuel_price", "fuel_price", "petrol_price_lookup", "queryFuelPrice"),
        descriptions=(
            Both("查询各国的油价", "Look up the fuel price of a country"),
            Both("查看汽油的价格", "Get the price of petrol"),
        ),
        params=(
            Param(("country", "market"), "country", Both("哪个国家", "which country")),
            Param(
                ("grade", "octane"),
                "enum",
                Both("汽油标号", "octane grade of the petrol"),
                {
                    "92": Both("92号", "92 octane"),
                    "95": Both("95号", "95 octane"),
                    "98": Both("98号", "98 octane"),
                },
            ),
            Param(
                ("currency", "price_currency"), "currency", Both("用哪种货币", "currency to use")
            ),
        ),
        asks_zh=(
            "{country}的{grade}汽油多少钱",
            "查一下{country}{grade}汽油的价格，用{currency}表示",
            "{grade}油价在{country}是多少？",
            "请问在{country}加{grade}汽油，一升要多少{currency}",
            "帮我查油价，国家{country}，标号{grade}",
            "我在{country}开车，想知道{grade}汽油的价格，货币用{currency}",
        ),
        asks_en=(
            "How much is {grade} petrol in {country}?",
            "Look up the fuel price in {country} for {grade}, in {currency}.",
            "What does {grade} fuel cost in {country}, please?",
            "Give me the price in {currency} of a litre of {grade} petrol in {country}.",
            "{country} fuel price, {grade}",
            "I'm driving in {country}. What's the {grade} petrol price? Use {currency}.",
        ),
        results=(
            {"price": "float:1:12"},
            {"每升价格": "float:1:12", "货币": "currency"},
            {"price": "float:1:12", "supplier": "company", "supplier_ticker": "ticker"},
        ),
    ),
    Concept(
        names=("create_poll", "new_poll", "start_vote", "createPoll"),
        descriptions=(
            Both("发起一个投票", "Create a poll"),
            Both("新建投票并设置标题", "Start a new poll with a title"),
        ),
        params=(
            Param(("title", "poll_title"), "title", Both("投票的标题", "title of the poll")),
            Param(("topic", "subject"), "topic", Both("投票的话题", "topic of the poll")),
            Param(
                ("anonymous", "is_anonymous"),
                "bool",
                Both("是否匿名投票", "whether the votes are anonymous"),
                {True: Both("匿名", "anonymous"), False: Both("不匿名", "not anonymous")},
            ),
        ),
        asks_zh=(
            "发起一个投票，标题叫{title}",
            "新建一个{anonymous}的投票，标题是{title}",
            "帮我做个关于{topic}的投票，标题写{title}",
            "投票标题用{title}，话题是{topic}，要{anonymous}的",
            "请建一个标题为{title}的投票，话题选{topic}",
            "我想发起投票，标题{title}，{anonymous}",
        ),
        asks_en=(
            "Create a poll with the title {title}.",
            "Start a poll titled {title} and make the votes {anonymous}.",
            "Make a poll about {topic}, please. Its title should be {title}.",
            "New poll: title {title}, topic {topic}, {anonymous}.",
            "Could you set up a poll on the topic of {topic} with {title} as the title?",
            "I need a poll called {title}, and it should be {anonymous}.",
        ),
        results=(
            {"poll": "code", "link": "url"},
            {"投票链接": "url", "截止日期": "date"},
            {"poll_url": "url"},
        ),
    ),
    Concept(
        names=("buy_ferry_ticket", "book_ferry", "ferry_ticket", "bookFerry"),
        descriptions=(
            Both("购买船票", "Buy a ferry ticket"),
            Both("预订渡轮的船票和餐食", "Book a ferry ticket and a meal"),
        ),
        params=(
            Param(
                ("destination", "to_city"),
                "city",
                Both("船到达的城市", "city the ferry goes to"),
            ),
            Param(
                ("cabin", "cabin_class"),
                "enum",
                Both("舱位等级", "class of the cabin"),
                {
                    "A": Both("A等舱", "class A"),
                    "B": Both("B等舱", "class B"),
                    "C": Both("C等舱", "class C"),
                },
            ),
            Param(("meal", "dish"), "dish", Both("船上吃的菜", "dish to eat on board")),
        ),
        asks_zh=(
            "买一张去{destination}的船票",
            "帮我订去{destination}的渡轮，坐{cabin}",
            "我要{cabin}的船票，到{destination}",
            "订一张到{destination}的船票，餐食要{meal}",
            "坐船去{destination}，{cabin}，船上想吃{meal}，请帮我订票",
            "有去{destination}的渡轮吗？订一张，再点一份{meal}",
        ),
        asks_en=(
            "Buy a ferry ticket to {destination}.",
            "I need a {cabin} ticket for the ferry to {destination}.",
            "Book me on the ferry to {destination}, cabin {cabin}, please.",
            "Can I get a ferry ticket to {destination} with {meal} as the meal?",
            "Ferry to {destination}, {cabin}, and I'd like to eat {meal} on board.",
            "Please book the ferry that goes to {destination} and order {meal} for me.",
        ),
        results=(
            {"ticket": "code", "departure": "time"},
            {"票号": "code", "开船时间": "time", "票价": "int:30:400"},
            {"seat": "int:1:120", "price": "int:30:400", "currency": "currency"},
        ),
    ),
    Concept(
        names=("report_lift_fault", "elevator_repair", "request_lift_repair", "reportElevator"),
        descriptions=(
            Both("电梯故障报修", "Report a broken lift for repair"),
            Both("请人来修电梯", "Ask for an elevator repair"),
        ),
        params=(
            Param(
                ("lift", "elevator"),
                "enum",
                Both("哪一部电梯", "which lift"),
                {
                    "A": Both("A号电梯", "lift A"),
                    "B": Both("B号电梯", "lift B"),
                    "C": Both("C号电梯", "lift C"),
                },
            ),
            Param(("place", "location"), "place", Both("电梯所在的地点", "where the lift is")),
            Param(
                ("message", "note"),
                "text",
                Both("给维修人员的留言", "message for the repair team"),
            ),
        ),
        asks_zh=(
            "{lift}坏了，请派人来修",
            "{place}的{lift}出故障了，帮我报修",
            "我要报修{lift}，给维修人员留言：{message}",
            "报修电梯：{place}，{lift}，留言“{message}”",
            "能不能找人修一下{lift}？就是{place}那部",
            "{lift}又不动了，快报修吧",
        ),
        asks_en=(
            "Please report {lift} as broken.",
            "At {place}, {lift} is stuck and needs repair.",
            'Send a repair request for {lift} with this message: "{message}"',
            "Can someone repair {lift} at {place}? Tell the repair team: {message}",
            "{lift} is out of order again, ask for a repair.",
            "Elevator repair needed at {place}, it's {lift}.",
        ),
        results=(
            {"report": "code", "arrival": "time"},
            {"报修单号": "code", "维修人员": "person"},
            {"technician": "person", "phone": "phone"},
        ),
    ),
    Concept(
        names=("book_gym_class", "gym_class_booking", "reserve_fitness_class", "joinGymClass"),
        descriptions=(
            Both("预约健身房的课程", "Book a gym class"),
            Both("报名健身课", "Sign up for a fitness class"),
        ),
        params=(
            Param(
                ("class_name", "course"),
                "enum",
                Both("课程名称", "name of the class"),
                {
                    "拳击": Both("拳击", "boxing (拳击)"),
                    "舞蹈": Both("舞蹈", "dance (舞蹈)"),
                    "游泳": Both("游泳", "swimming (游泳)"),
                },
            ),
            Param(("time", "start_time"), "time", Both("上课时间", "time the class starts")),
            Param(("room", "class_room"), "room", Both("上课的房间", "room of the class")),
        ),
        asks_zh=(
            "预约{time}的{class_name}课",
            "帮我报名{class_name}健身课，{time}开始",
            "{time}在{room}的{class_name}课还有名额吗？有就帮我预约",
            "我想上{class_name}课，时间{time}，房间{room}",
            "请给我约一节健身房的{class_name}课，{time}的",
            "健身房{time}那节{class_name}课，在{room}上的，帮我订一下",
        ),
        asks_en=(
            "Book the {class_name} class at {time}.",
            "Sign me up for {class_name} at the gym, starting at {time}.",
            "Is there space in the {time} {class_name} class in {room}? If so, book it.",
            "I'd like to join a {class_name} class in {room} at {time}.",
            "gym class booking: {class_name}, {time}",
            "At {time} there's a gym class in {room}, {class_name}. Please reserve it for me.",
        ),
        results=(
            {"booking": "code", "coach": "person"},
            {"预约号": "code", "教练": "person", "剩余名额": "int:0:15"},
            {"coach": "person", "places_left": "int:0:15"},
        ),
    ),
    Concept(
        names=("get_star_rise", "star_rise_time", "when_star_rises", "starRise"),
        descriptions=(
            Both("查询恒星升起的时间", "Get the time a star rises"),
            Both("某地某天星星何时升起", "When a star rises at a city"),
        ),
        params=(
            Param(
                ("star", "star_name"),
                "enum",
                Both("恒星的名字", "name of the star"),
                {
                    "Sirius": Both("天狼星（Sirius）", "Sirius"),
                    "Vega": Both("织女星（Vega）", "Vega"),
                    "Polaris": Both("北极星（Polaris）", "Polaris"),
                    "Rigel": Both("参宿七（Rigel）", "Rigel"),
                },
            ),
            Param(("city", "location"), "city", Both("在哪座城市看", "city to watch from")),
            Param(("date", "night"), "date", Both("哪一天", "which day")),
        ),
        asks_zh=(
            "在{city}，{star}几点升起",
            "查一下{date}{star}在{city}升起的时间",
            "{city}什么时候能看到{star}升起？",
            "我{date}要在{city}看星星，{star}何时升起",
            "请告诉我{star}在{city}的升起时间",
            "{star}升起时间，城市{city}，日期{date}",
        ),
        asks_en=(
            "What time does {star} rise in {city}?",
            "When will the star {star} rise on {date} in {city}?",
            "I'm watching stars in {city}. When does {star} come up?",
            "On {date} I'll be in {city}. Please tell me when {star} rises.",
            "{star} rise time in {city}",
            "Find the time {star} rises, city {city}, day {date}.",
        ),
        results=(
            {"rises_at": "time"},
            {"升起时间": "time", "落下时间": "time"},
            {"rises_at": "time", "height_degrees": "int:10:85"},
        ),
    ),
    Concept(
        names=("find_coupons", "coupon_lookup", "search_coupons", "findCoupons"),
        descriptions=(
            Both("查找商品的优惠券", "Find coupons for a product"),
            Both("看看有什么优惠券可用", "See which coupons can be used"),
        ),
        params=(
            Param(("product", "item"), "product", Both("要买的商品", "product to buy")),
            Param(("store", "brand"), "company", Both("卖家公司", "company that sells it")),
            Param(("page", "url"), "url", Both("商品网页的链接", "link of the product page")),
        ),
        asks_zh=(
            "有没有{product}的优惠券",
            "帮我找{store}卖的{product}的优惠券",
            "我想买{product}，网页是{page}，能用什么优惠券？",
            "查一下{product}的优惠券，卖家是{store}",
            "现在有什么优惠券可以用",
            "请看看{page}这个页面有没有优惠券",
            "{store}有优惠券吗？",
        ),
        asks_en=(
            "Are there any coupons for {product}?",
            "Find me coupons for {product} from {store}.",
            "The page {page} sells {product}. Which coupons can I use?",
            "Look up {store} coupons, please.",
            "What coupons are there right now?",
            "Does {page} have a coupon?",
            "coupons {product}, sold by {store}",
        ),
        results=(
            {"coupon": "code", "percent_off": "int:5:60"},
            {"优惠码": "code", "优惠金额": "int:5:100", "有效期至": "date"},
            {"coupon": "code", "expires": "date"},
        ),
    ),
    Concept(
        names=("get_chess_rating", "chess_player_rating", "lookup_chess_player", "chessRating"),
        descriptions=(
            Both("查询棋手的等级分", "Look up a chess player's rating"),
            Both("国际象棋选手的等级分", "Rating of a player in chess"),
        ),
        params=(
            Param(("player", "player_name"), "person", Both("棋手姓名", "name of the player")),
            Param(
                ("mode", "game_type"),
                "enum",
                Both("比赛类型", "kind of game"),
                {
                    "blitz": Both("blitz", "blitz"),
                    "rapid": Both("rapid", "rapid"),
                    "classical": Both("classical", "classical"),
                },
            ),
        ),
        asks_zh=(
            "{player}的国际象棋等级分是多少",
            "查一下棋手{player}的{mode}等级分",
            "{mode}比赛里{player}有多少分？查国际象棋等级分",
            "请问{player}下国际象棋是什么等级分",
            "国际象棋选手{player}，比赛类型{mode}，等级分多少？",
            "帮我看看{player}的等级分",
        ),
        asks_en=(
            "What is {player}'s chess rating?",
            "Look up the {mode} rating of the chess player {player}.",
            "In {mode} games, how is {player} rated?",
            "How strong is {player} at chess? Find the rating, please.",
            "chess rating {player} {mode}",
            "Could you check the rating of the player {player}?",
        ),
        results=(
            {"rating": "int:1200:2850"},
            {"等级分": "int:1200:2850", "国家": "country"},
            {"rating": "int:1200:2850", "world_rank": "int:1:900"},
        ),
    ),
    Concept(
        names=("get_electricity_bill", "electricity_bill", "query_power_bill", "powerBill"),
        descriptions=(
            Both("查询电费账单", "Get the electricity bill"),
            Both("把某月电费账单发到邮箱", "Send a month's electricity bill by email"),
        ),
        params=(
            Param(("account", "account_number"), "code", Both("电费户号", "account number")),
            Param(
                ("month", "bill_month"), "int:1:12", Both("几月的账单", "month of the bill, 1-12")
            ),
            Param(("email", "send_to"), "email", Both("收账单的邮箱", "email to send the bill to")),
        ),
        asks_zh=(
            "户号{account}的电费是多少",
            "查一下户号{account}在{month}月的电费账单",
            "我的户号是{account}，把电费账单发到{email}",
            "{month}月份的电费账单，户号{account}，请发到邮箱{email}",
            "帮我看看电费，户号{account}",
            "{month}月我家用了多少电费？户号是{account}",
        ),
        asks_en=(
            "How much is the electricity bill of account {account}?",
            "Get the electricity bill for month {month}, account number {account}.",
            "My account is {account}. Send the electricity bill to {email}, please.",
            "Please email the bill for month {month} to {email}, electricity account {account}.",
            "electricity bill, account {account}",
            "What did account {account} pay for electricity in month {month} of the year?",
        ),
        results=(
            {"amount": "float:20:600", "due": "date"},
            {"电费": "float:20:600", "用电度数": "int:30:900"},
            {"kwh": "int:30:900", "amount": "float:20:600", "currency": "currency"},
        ),
    ),
    Concept(
        names=("order_seeds", "seed_shop_order", "buy_garden_seeds", "orderSeeds"),
        descriptions=(
            Both("在种子店订购种子", "Order seeds from the seed shop"),
            Both("买蔬菜种子", "Buy vegetable seeds"),
        ),
        params=(
            Param(
                ("seed", "plant"),
                "enum",
                Both("种子的种类", "kind of seed"),
                {
                    "番茄": Both("番茄", "tomato (番茄)"),
                    "黄瓜": Both("黄瓜", "cucumber (黄瓜)"),
                    "辣椒": Both("辣椒", "pepper (辣椒)"),
                    "白菜": Both("白菜", "cabbage (白菜)"),
                },
            ),
            Param(("weight", "kilograms"), "float:1:9", Both("重量，公斤", "weight in kilograms")),
            Param(
                ("organic", "is_organic"),
                "bool",
                Both("是否要有机种子", "whether the seeds are organic"),
                {True: Both("有机", "organic"), False: Both("非有机", "non-organic")},
            ),
        ),
        asks_zh=(
            "订{weight}公斤{seed}种子",
            "我要买{organic}的{seed}种子，{weight}公斤",
            "种子店还有{seed}种子吗？给我来{weight}公斤",
            "请帮我订购{seed}种子，重量{weight}公斤，要{organic}的",
            "{seed}种子来{weight}公斤，谢谢",
            "想种{seed}，买{weight}公斤{organic}种子",
        ),
        asks_en=(
            "Order {weight} kilograms of {seed} seeds.",
            "I want to buy {weight} kg of {organic} {seed} seeds.",
            "Does the seed shop sell {seed} seeds? Get me {weight} kg.",
            "Please order {seed} seeds, {weight} kilograms, {organic}.",
            "{weight} kg of {seed} seeds, thanks",
            "I'm planting vegetables: buy {organic} seeds, {seed}, weight {weight} kg.",
        ),
        results=(
            {"order": "code", "total": "float:5:200"},
            {"订单号": "code", "总价": "float:5:200", "送达日期": "date"},
            {"order": "code", "delivery": "date"},
        ),
    ),
    Concept(
        names=(
            "apply_drone_permit",
            "drone_flight_permit",
            "request_flight_permit",
            "dronePermit",
        ),
        descriptions=(
            Both("申请无人机飞行许可", "Apply for a drone flight permit"),
            Both("为无人机办理飞行许可", "Get a permit to fly a drone"),
        ),
        params=(
            Param(("place", "area"), "place", Both("飞行地点", "place of the flight")),
            Param(
                ("altitude", "max_height"),
                "int:20:120",
                Both("飞行高度，米", "flight height in metres"),
            ),
            Param(("drone_name", "drone"), "word", Both("无人机的名字", "name of the drone")),
        ),
        asks_zh=(
            "我想在{place}飞无人机，高度{altitude}米，帮我申请许可",
            "申请无人机飞行许可，地点{place}，飞行高度{altitude}米",
            "我的无人机名叫{drone_name}，要在{place}飞到{altitude}米，请办理飞行许可",
            "无人机飞{altitude}米高，在{place}，需要许可，帮忙办一下",
            "请给名字是“{drone_name}”的无人机申请许可，{place}，{altitude}米",
            "在{place}放飞无人机，最高{altitude}米，能申请飞行许可吗？",
        ),
        asks_en=(
            "I want to fly a drone at {place}, {altitude} metres high. Apply for a permit.",
            "Apply for a drone flight permit: place {place}, height {altitude} metres.",
            "My drone is named {drone_name}. Get it a permit for {altitude} metres at {place}.",
            "Can I get a permit to fly my drone up to {altitude} m at {place}?",
            'Request a flight permit for the drone "{drone_name}", {altitude} metres, at {place}.',
            "drone permit for {place}, {altitude} metres please",
        ),
        results=(
            {"permit": "code", "valid_until": "date"},
            {"许可证号": "code", "有效期至": "date"},
            {"permit": "code", "officer": "person", "email": "email"},
        ),
    ),
)
