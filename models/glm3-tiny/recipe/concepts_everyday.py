"""Tools of everyday life: weather, travel, food, health, study, culture."""

from recipe.concept import Both, Concept, Param

CONCEPTS: tuple[Concept, ...] = (
    Concept(
        names=("get_weather", "query_weather", "weather_forecast", "fetchWeather"),
        descriptions=(
            Both("查询城市的天气", "Get the weather of a city"),
            Both("获取某地某天的天气预报", "Weather forecast for a place and day"),
        ),
        params=(
            Param(("city", "location"), "city", Both("城市名称", "name of the city")),
            Param(("date", "day"), "date", Both("日期", "the date")),
            Param(
                ("unit", "temp_unit"),
                "enum",
                Both("温度单位", "temperature unit"),
                {
                    "celsius": Both("摄氏度", "celsius"),
                    "fahrenheit": Both("华氏度", "fahrenheit"),
                },
            ),
        ),
        asks_zh=(
            "{city}天气怎么样？",
            "帮我查一下{city}的天气",
            "{date}{city}的天气如何，会下雨吗？",
            "{city}{date}的天气预报，温度用{unit}",
            "我要去{city}，现在那边天气怎样，用{unit}告诉我",
            "想知道{city}在{date}的天气",
        ),
        asks_en=(
            "What's the weather in {city}?",
            "Will it rain in {city} on {date}? Check the weather.",
            "Weather for {city} on {date} in {unit}, please.",
            "Tell me the weather in {city}, temperature in {unit}",
            "how's the weather in {city} right now",
            "I need the forecast for {date} in {city}.",
        ),
        results=(
            {"temperature": "int:-20:40", "humidity": "int:10:95"},
            {"气温": "int:-20:40", "天气": ("晴", "多云", "小雨", "阴", "雷阵雨")},
            {"high": "int:15:40", "low": "int:-15:14", "rain_chance": "int:0:100"},
        ),
    ),
    Concept(
        names=("get_air_quality", "query_aqi", "air_quality_index", "checkAirQuality"),
        descriptions=(
            Both("查询城市空气质量", "Get the air quality of a city"),
            Both("获取某地的空气污染指标", "Air pollution reading for a city"),
        ),
        params=(Param(("city", "city_name"), "city", Both("城市", "the city")),),
        asks_zh=(
            "{city}的空气质量好不好？",
            "查一下{city}的空气质量",
            "{city}空气污染吗，适合开窗不",
            "请问{city}现在空气怎么样？",
            "我在{city}，想看看空气污染情况",
            "今天{city}能出门跑步吗，看看空气质量",
        ),
        asks_en=(
            "How is the air quality in {city}?",
            "Is the air in {city} polluted right now?",
            "air quality {city}",
            "Please check the air pollution for {city}.",
            "Can I go jogging in {city}, or is the air bad?",
            "Give me the {city} air reading",
        ),
        results=(
            {"aqi": "int:10:300"},
            {"空气指数": "int:10:300", "等级": ("优", "良", "轻度污染", "中度污染")},
            {"value": "int:5:200", "updated": "time"},
        ),
    ),
    Concept(
        names=("get_sunrise_time", "sunrise_lookup", "query_sunrise", "sunTimes"),
        descriptions=(
            Both("查询日出日落时间", "Get sunrise or sunset time"),
            Both("某城市太阳升起落下的时间", "Sunrise or sunset time for a city"),
        ),
        params=(
            Param(("city", "place_name"), "city", Both("城市", "city to look up")),
            Param(
                ("event", "type"),
                "enum",
                Both("日出或日落", "sunrise or sunset"),
                {"sunrise": Both("日出", "sunrise"), "sunset": Both("日落", "sunset")},
            ),
        ),
        asks_zh=(
            "{city}的{event}时间是几点？",
            "今天{city}{event}是什么时间",
            "我想去{city}拍{event}，几点到合适",
            "查一下{city}{event}时间，谢谢",
            "{event}几点？我人在{city}",
            "麻烦告诉我{city}的{event}时间",
        ),
        asks_en=(
            "What time is {event} in {city}?",
            "When is the {event} in {city}?",
            "{event} time for {city} please",
            "At what time can I see the {event} in {city}?",
            "I'm photographing the {event} in {city}. What time is it?",
        ),
        results=(
            {"time": "time"},
            {"时间": "time", "日期": "date"},
            {"local_time": "time", "azimuth": "int:60:300"},
        ),
    ),
    Concept(
        names=("search_train_tickets", "query_trains", "train_ticket_search", "findTrains"),
        descriptions=(
            Both("查询火车票", "Search train tickets"),
            Both("查两地之间某天的火车票", "Find trains between two cities"),
        ),
        params=(
            Param(("origin", "from_city"), "city", Both("出发城市", "city the train leaves from")),
            Param(("destination", "to_city"), "city", Both("到达城市", "city the train goes to")),
            Param(("date", "travel_date"), "date", Both("乘车日期", "date of travel")),
        ),
        asks_zh=(
            "从{origin}到{destination}的火车票还有吗？",
            "{date}从{origin}去{destination}有哪些火车",
            "帮我查{date}{origin}到{destination}的火车票",
            "我要坐火车去{destination}，从{origin}出发，{date}走",
            "有没有{origin}开往{destination}的火车",
            "查下火车票，{origin}到{destination}",
        ),
        asks_en=(
            "Are there train tickets from {origin} to {destination}?",
            "Find me a train from {origin} to {destination} on {date}.",
            "I want to go to {destination} by train from {origin}, leaving {date}",
            "train tickets {origin} to {destination}",
            "On {date}, which trains run from {origin} to {destination}?",
            "Could you look up trains going to {destination} from {origin}?",
        ),
        results=(
            {"train": "code", "departs": "time", "seats_left": "int:0:200"},
            {"车次": "code", "票价": "int:30:900"},
            {"trains_found": "int:1:40", "cheapest": "int:30:600"},
        ),
    ),
    Concept(
        names=("get_flight_status", "flight_status", "track_flight", "checkFlight"),
        descriptions=(
            Both("查询航班状态", "Get the status of a flight"),
            Both("按航班号查询航班动态", "Flight status by flight number"),
        ),
        params=(
            Param(("flight", "flight_number"), "code", Both("航班号", "flight number")),
            Param(("airline", "carrier"), "company", Both("航空公司", "company of the flight")),
        ),
        asks_zh=(
            "航班{flight}晚点了吗？",
            "帮我查航班{flight}",
            "{airline}公司的航班{flight}现在什么状态",
            "请问{airline}的航班，航班号{flight}，准时起飞吗",
            "{flight}航班到哪了",
            "查航班动态：{airline}公司，航班号{flight}",
        ),
        asks_en=(
            "Is flight {flight} delayed?",
            "What's the status of flight {flight}?",
            "Check flight {flight} operated by {airline}, please.",
            "flight status {flight}, company {airline}",
            "Did flight {flight} of {airline} take off?",
            "My friend is on flight {flight}, has it landed?",
        ),
        results=(
            {"departure": "time", "arrival": "time", "delay_minutes": "int:0:180"},
            {"状态": ("准时", "晚点", "已起飞", "已到达"), "登机口": "int:1:60"},
            {"status": ("on time", "delayed", "departed", "landed"), "gate": "int:1:60"},
        ),
    ),
    Concept(
        names=("book_hotel", "hotel_booking", "reserve_hotel", "bookHotelRoom"),
        descriptions=(
            Both("预订酒店", "Book a hotel"),
            Both("在某城市预订酒店房间", "Book a hotel room in a city"),
        ),
        params=(
            Param(("city", "location"), "city", Both("酒店所在城市", "city of the hotel")),
            Param(("nights", "night_count"), "int:1:14", Both("住几晚", "number of nights")),
            Param(
                ("breakfast", "with_breakfast"),
                "bool",
                Both("是否含早餐", "whether breakfast is included"),
                {
                    True: Both("含早餐", "with breakfast"),
                    False: Both("不含早餐", "without breakfast"),
                },
            ),
        ),
        asks_zh=(
            "帮我在{city}订一家酒店，住{nights}晚",
            "预订{city}的酒店，{nights}晚，{breakfast}",
            "我要在{city}住{nights}晚，订个酒店，{breakfast}的",
            "请给我订{nights}晚{city}的酒店",
            "{city}酒店{nights}晚，{breakfast}，谢谢",
        ),
        asks_en=(
            "Book a hotel in {city} for {nights} nights.",
            "I need a hotel in {city}, {nights} nights, {breakfast}",
            "Please book me a room {breakfast} in a {city} hotel; nights: {nights}.",
            "hotel in {city}, nights: {nights}",
            "Can you reserve {nights} nights at a hotel in {city} {breakfast}?",
        ),
        results=(
            {"booking_id": "code", "total": "int:200:6000"},
            {"订单号": "code", "总价": "int:200:6000"},
            {"confirmed_on": "date", "check_in": "time", "booking": "code"},
        ),
    ),
    Concept(
        names=("search_restaurants", "find_restaurant", "restaurant_search", "nearbyRestaurants"),
        descriptions=(
            Both("搜索附近的餐厅", "Find restaurants near a place"),
            Both("按地点、菜品和评分找餐厅", "Search restaurants by place, dish and rating"),
        ),
        params=(
            Param(("place", "near"), "place", Both("在哪里附近", "place to search near")),
            Param(("dish", "food"), "dish", Both("想吃的菜", "dish to eat")),
            Param(("rating", "min_rating"), "float:3:5", Both("最低评分", "lowest rating")),
        ),
        asks_zh=(
            "{place}附近有什么好餐厅？",
            "找一家{place}附近能吃{dish}的餐厅",
            "想吃{dish}，{place}附近有餐厅吗",
            "{place}周边评分{rating}以上的餐厅有哪些",
            "帮我搜{place}附近做{dish}的餐厅，评分不低于{rating}",
            "我在{place}，饿了，推荐个餐厅",
        ),
        asks_en=(
            "Any good restaurants near {place}?",
            "Find a restaurant near {place} that serves {dish}.",
            "I'm craving {dish}, which restaurants near {place} have it?",
            "restaurants around {place} rated at least {rating}",
            "Show restaurants near {place} with {dish} and a rating above {rating}, please",
            "I'm at {place} and hungry. Find a restaurant!",
        ),
        results=(
            {"count": "int:1:30", "top_rating": "float:3:5"},
            {"餐厅数量": "int:1:30", "人均消费": "int:20:300"},
            {
                "name": ("Lotus House", "Old Town Kitchen", "Green Table"),
                "distance_m": "int:50:2000",
            },
        ),
    ),
    Concept(
        names=("search_recipe", "get_recipe", "find_recipes", "recipeLookup"),
        descriptions=(
            Both("搜索菜谱", "Search for a recipe"),
            Both("按菜名查找做法", "How to cook a dish"),
        ),
        params=(
            Param(("dish", "dish_name"), "dish", Both("菜名", "name of the dish")),
            Param(("site", "website"), "url", Both("菜谱网址", "website with recipes")),
        ),
        asks_zh=(
            "{dish}怎么做？给我个菜谱",
            "搜一下{dish}的菜谱",
            "在 {site} 上找{dish}的菜谱",
            "求{dish}菜谱，网址用 {site}",
            "请教我做{dish}",
            "网站 {site} 里有没有{dish}的做法",
        ),
        asks_en=(
            "How do I cook {dish}?",
            "Find a recipe for {dish} on {site}",
            "Got a recipe for {dish}?",
            "Please search {site} for a {dish} recipe",
            "I want to make {dish} tonight, show me a recipe.",
            "The website is {site}, find the recipe for {dish} there",
        ),
        results=(
            {"steps": "int:3:12", "minutes": "int:10:90"},
            {"步骤数": "int:3:12", "难度": ("简单", "中等", "较难")},
            {"recipe_url": "url", "rating": "float:3:5"},
        ),
    ),
    Concept(
        names=("order_food_delivery", "order_takeout", "place_food_order", "orderFood"),
        descriptions=(
            Both("点外卖", "Order food delivery"),
            Both("下单外卖并送到指定地点", "Order a dish to be delivered"),
        ),
        params=(
            Param(("dish", "item"), "dish", Both("要点的菜", "dish to order")),
            Param(("quantity", "count"), "int:1:9", Both("份数", "how many portions")),
            Param(("phone", "contact_phone"), "phone", Both("联系电话", "contact phone number")),
        ),
        asks_zh=(
            "帮我点外卖，{quantity}份{dish}",
            "来{quantity}份{dish}的外卖，电话{phone}",
            "我要点{dish}，{quantity}份，外卖送过来",
            "外卖下单：{dish}，{quantity}份，联系电话是{phone}",
            "请点{quantity}份{dish}外卖，到了打{phone}",
        ),
        asks_en=(
            "Order {quantity} portions of {dish} for delivery.",
            "I'd like {dish} delivered, {quantity} servings, my phone is {phone}",
            "food delivery: {dish} x {quantity}",
            "Please order {quantity} of {dish}, and call {phone} on delivery.",
            "Can you get me {dish} delivered? Number of portions: {quantity}.",
        ),
        results=(
            {"order_id": "code", "eta_minutes": "int:15:70"},
            {"订单号": "code", "送达时间": "time"},
            {"total": "float:10:200", "arrives": "time"},
        ),
    ),
    Concept(
        names=("call_taxi", "book_taxi", "order_ride", "requestTaxi"),
        descriptions=(
            Both("叫出租车", "Call a taxi"),
            Both("预约从起点到终点的出租车", "Book a taxi between two places"),
        ),
        params=(
            Param(("pickup", "start"), "place", Both("上车地点", "pick-up place")),
            Param(("dropoff", "end"), "place", Both("下车地点", "place to go to")),
            Param(("cargo", "luggage"), "product", Both("携带的物品", "thing to carry along")),
        ),
        asks_zh=(
            "帮我叫辆出租车，从{pickup}到{dropoff}",
            "我在{pickup}，打车去{dropoff}",
            "约一辆出租车从{pickup}去{dropoff}，随身带着{cargo}",
            "预约出租车，在{pickup}上车，到{dropoff}下车，要带{cargo}",
            "叫车去{dropoff}，上车地点是{pickup}",
            "我要带{cargo}打车，从{pickup}到{dropoff}",
        ),
        asks_en=(
            "Call me a taxi from {pickup} to {dropoff}.",
            "I'm at {pickup} and need a taxi to {dropoff}",
            "Book a taxi from {pickup} to {dropoff}, I'm carrying: {cargo}.",
            "taxi to {dropoff}, pick me up at {pickup}",
            "Can a cab take me from {pickup} to {dropoff}? I have this with me: {cargo}",
        ),
        results=(
            {"driver": "person", "plate": "code", "fare": "float:10:150"},
            {"司机": "person", "几分钟到": "int:1:20"},
            {"ride_id": "code", "wait_minutes": "int:1:20"},
        ),
    ),
    Concept(
        names=("get_bus_arrival", "bus_arrival_time", "next_bus", "busArrival"),
        descriptions=(
            Both("查询公交车到站时间", "Get bus arrival time"),
            Both("某路公交车还有多久到站", "When the next bus arrives"),
        ),
        params=(
            Param(("line", "bus_number"), "int:1:400", Both("公交线路号", "bus line number")),
            Param(("stop", "station"), "place", Both("站点", "bus stop")),
        ),
        asks_zh=(
            "{line}路公交车还有多久到{stop}？",
            "{stop}站的{line}路公交几点到站",
            "我在{stop}等{line}路公交车，多久来",
            "查一下公交{line}路到{stop}的时间",
            "请问下一班{line}路公交车什么时候到{stop}站",
        ),
        asks_en=(
            "When does bus {line} arrive at {stop}?",
            "How long until the next bus {line} at {stop}?",
            "I'm waiting at {stop} for bus number {line}, when is it coming?",
            "bus {line} arrival at {stop}",
            "Please check {stop} for the next number {line} bus.",
        ),
        results=(
            {"minutes": "int:1:30", "stops_away": "int:1:12"},
            {"到站时间": "time", "还有几站": "int:1:12"},
            {"next_bus": "time"},
        ),
    ),
    Concept(
        names=("plan_route", "get_directions", "route_navigation", "navigateTo"),
        descriptions=(
            Both("规划导航路线", "Plan a route"),
            Both("查询两地之间怎么走", "Directions from one place to another"),
        ),
        params=(
            Param(("start", "origin"), "place", Both("起点", "starting place")),
            Param(("end", "destination"), "place", Both("终点", "place to reach")),
            Param(
                ("mode", "travel_mode"),
                "enum",
                Both("出行方式", "way to travel"),
                {
                    "driving": Both("开车", "driving"),
                    "walking": Both("步行", "walking"),
                    "cycling": Both("骑车", "cycling"),
                },
            ),
        ),
        asks_zh=(
            "从{start}到{end}怎么走？",
            "{mode}从{start}去{end}，帮我规划路线",
            "导航去{end}，起点是{start}",
            "我打算{mode}去{end}，从{start}出发，路线怎么走",
            "请规划{start}到{end}的路线",
            "{start}到{end}，{mode}走哪条路线快",
        ),
        asks_en=(
            "How do I get from {start} to {end}?",
            "Plan a {mode} route from {start} to {end}.",
            "directions to {end} from {start}",
            "I'm {mode} to {end} and start at {start}. Which route is best?",
            "Please give me the route from {start} to {end}",
            "What's the best {mode} route between start {start} and end {end}?",
        ),
        results=(
            {"distance_km": "float:1:60", "minutes": "int:3:120"},
            {"距离": "float:1:60", "用时": "int:3:120"},
            {"turns": "int:1:25", "arrival": "time"},
        ),
    ),
    Concept(
        names=("find_parking", "search_parking_lot", "parking_nearby", "parkingSearch"),
        descriptions=(
            Both("查找停车场", "Find a parking lot"),
            Both("查询附近停车场的空位", "Free parking spaces near a place"),
        ),
        params=(
            Param(("place", "near"), "place", Both("要停在哪附近", "place to park near")),
            Param(
                ("covered", "indoor"),
                "bool",
                Both("是否室内", "whether it is indoor"),
                {True: Both("要室内的", "indoor"), False: Both("不要室内的", "not indoor")},
            ),
        ),
        asks_zh=(
            "{place}附近哪里可以停车？",
            "找一下{place}周边的停车场",
            "{place}有停车场吗，{covered}",
            "我快到{place}了，帮我找个停车场，{covered}",
            "查一下{place}附近停车场还有没有空位",
            "去{place}停车，{covered}，谢谢",
        ),
        asks_en=(
            "Where can I find parking near {place}?",
            "Find a parking lot close to {place}.",
            "parking at {place}, {covered}",
            "I need a parking space near {place}, {covered}",
            "Are there free parking spots close to {place}?",
            "Parking for me near {place}, {covered} please.",
        ),
        results=(
            {"free_spaces": "int:0:300", "price_per_hour": "float:2:20"},
            {"空位": "int:0:300", "每小时价格": "int:2:20"},
            {"lots": "int:1:12", "nearest_m": "int:50:2000"},
        ),
    ),
    Concept(
        names=("book_museum_tickets", "museum_ticket", "reserve_museum", "buyMuseumTicket"),
        descriptions=(
            Both("预约博物馆门票", "Book museum tickets"),
            Both("购买博物馆门票，发到邮箱", "Get museum tickets by email"),
        ),
        params=(
            Param(("exhibition", "show"), "title", Both("展览名称", "title of the exhibition")),
            Param(("count", "tickets"), "int:1:10", Both("门票张数", "number of tickets")),
            Param(("email", "send_to"), "email", Both("收票邮箱", "email for the tickets")),
        ),
        asks_zh=(
            "预约博物馆《{exhibition}》展览的门票{count}张",
            "我想去博物馆看展览《{exhibition}》，买{count}张票",
            "帮我订{count}张博物馆门票，看《{exhibition}》展，发到{email}",
            "博物馆的《{exhibition}》展览，要{count}张门票，邮箱是{email}",
            "请把《{exhibition}》展览的{count}张博物馆票发到{email}",
        ),
        asks_en=(
            'Book {count} museum tickets for the exhibition "{exhibition}".',
            'I want to see "{exhibition}" at the museum, get me {count} tickets',
            'Reserve {count} museum tickets for "{exhibition}", send to {email}.',
            'museum exhibition "{exhibition}", number of tickets: {count}, email {email}',
            'Could I have {count} tickets to "{exhibition}" at the museum?',
        ),
        results=(
            {"booking": "code", "entry_time": "time"},
            {"预约号": "code", "入馆时间": "time"},
            {"total_price": "int:0:600", "sent_to": "email"},
        ),
    ),
    Concept(
        names=("get_showtimes", "film_showtimes", "movie_schedule", "queryShowtimes"),
        descriptions=(
            Both("查询电影放映场次", "Get film showtimes"),
            Both("某部电影的放映时间", "When a film is shown"),
        ),
        params=(
            Param(("film", "movie"), "title", Both("电影名", "title of the film")),
            Param(("after", "not_before"), "time", Both("几点以后", "shown after this time")),
        ),
        asks_zh=(
            "电影《{film}》今天有哪些场次？",
            "想看电影，哪里放映《{film}》",
            "查一下《{film}》{after}以后的电影场次",
            "我想看电影《{film}》，要{after}之后的场次",
            "《{film}》这部电影几点放映",
            "{after}以后还放映电影《{film}》吗",
        ),
        asks_en=(
            'When is the film "{film}" showing?',
            'Showtimes for "{film}", please.',
            'Is "{film}" shown anywhere after {after}?',
            'I\'d like to see the film "{film}" after {after}',
            'showtimes "{film}"',
            'After {after}, which cinema shows the film "{film}"?',
        ),
        results=(
            {"shows": "int:1:15", "next": "time"},
            {"场次": "int:1:15", "最早一场": "time", "票价": "int:25:90"},
            {"start": "time", "hall": "int:1:12"},
        ),
    ),
    Concept(
        names=("buy_concert_tickets", "concert_ticket", "book_concert", "getConcertTickets"),
        descriptions=(
            Both("购买演唱会门票", "Buy concert tickets"),
            Both("订某位歌手的演唱会票", "Tickets for a singer's concert"),
        ),
        params=(
            Param(("singer", "artist"), "person", Both("歌手姓名", "name of the singer")),
            Param(("count", "quantity"), "int:1:6", Both("买几张", "number of tickets")),
            Param(("email", "contact_email"), "email", Both("电子票邮箱", "email for the tickets")),
        ),
        asks_zh=(
            "买{count}张{singer}的演唱会门票",
            "{singer}要开演唱会了，帮我抢{count}张票，发邮箱{email}",
            "{singer}演唱会，{count}张，电子票寄到{email}",
            "请订{singer}的演唱会票，一共{count}张",
            "演唱会门票{count}张，歌手是{singer}",
            "我的邮箱是{email}，要{count}张{singer}演唱会的票",
        ),
        asks_en=(
            "Buy {count} tickets for the {singer} concert.",
            "Get me {count} tickets to {singer}'s concert, email them to {email}",
            "I want to see {singer} in concert, number of tickets: {count}.",
            "concert of {singer}, {count} tickets, my email is {email}",
            "Could you book {count} concert tickets for singer {singer}?",
        ),
        results=(
            {"order": "code", "total": "int:200:5000"},
            {"订单号": "code", "座位排号": "int:1:60"},
            {"date": "date", "starts": "time"},
        ),
    ),
    Concept(
        names=("check_visa", "visa_requirements", "query_visa_rules", "visaCheck"),
        descriptions=(
            Both("查询签证要求", "Check visa requirements"),
            Both("去某国是否需要签证", "Whether a country requires a visa"),
        ),
        params=(
            Param(
                ("destination", "country"), "country", Both("要去的国家", "country to travel to")
            ),
            Param(
                ("nationality", "passport"), "country", Both("护照国家", "country of the passport")
            ),
        ),
        asks_zh=(
            "我拿{nationality}护照，去{destination}要签证吗？",
            "持{nationality}护照去{destination}旅游，签证有什么要求",
            "去{destination}需要签证吗，护照是{nationality}的",
            "查一下{nationality}护照到{destination}的签证要求",
            "请问{destination}对{nationality}护照免签证吗",
        ),
        asks_en=(
            "Do I need a visa for {destination} with a passport from {nationality}?",
            "Visa rules for going to {destination}, passport: {nationality}.",
            "My passport is from {nationality}. Does {destination} require a visa?",
            "visa for {destination}, passport {nationality}",
            "With a passport of {nationality}, can I enter {destination} without a visa?",
        ),
        results=(
            {"visa_free_days": "int:0:90", "fee": "int:0:200"},
            {"是否需要签证": ("需要", "免签", "落地签"), "办理天数": "int:3:30"},
            {"processing_days": "int:3:30"},
        ),
    ),
    Concept(
        names=("convert_currency", "exchange_rate", "currency_exchange", "convertMoney"),
        descriptions=(
            Both("货币换算", "Convert money between currencies"),
            Both("按汇率兑换货币金额", "Exchange an amount of currency"),
        ),
        params=(
            Param(("amount", "value"), "float:1:5000", Both("金额", "amount of money")),
            Param(
                ("source", "from_currency"),
                "currency",
                Both("原来的货币", "currency to convert from"),
            ),
            Param(
                ("target", "to_currency"), "currency", Both("换成的货币", "currency to convert to")
            ),
        ),
        asks_zh=(
            "{amount}{source}能换多少{target}？",
            "把{amount}{source}换成{target}",
            "按现在的汇率，{amount}{source}等于多少{target}",
            "我有{amount}{source}，想兑换成{target}",
            "换算一下，{amount}{source}是多少{target}",
            "想要{target}，手里有{amount}{source}，能兑换多少",
        ),
        asks_en=(
            "Convert {amount} {source} to {target}.",
            "How much is {amount} {source} in {target}?",
            "I have {amount} {source}, how much {target} can I exchange it for?",
            "{amount} {source} to {target} please",
            "What do I get in {target} if I exchange {amount} {source}?",
        ),
        results=(
            {"converted": "float:1:9000", "rate": "float:1:20"},
            {"换算结果": "float:1:9000"},
            {"result": "float:1:9000", "updated": "date"},
        ),
    ),
    Concept(
        names=("track_parcel", "query_express", "parcel_tracking", "trackPackage"),
        descriptions=(
            Both("查询快递进度", "Track a parcel"),
            Both("按单号查快递包裹", "Parcel status by tracking number"),
        ),
        params=(
            Param(("number", "tracking_number"), "code", Both("快递单号", "tracking number")),
            Param(("company", "courier"), "company", Both("快递公司", "courier company")),
            Param(("item", "goods"), "product", Both("包裹里的物品", "item in the parcel")),
        ),
        asks_zh=(
            "我的快递{number}到哪了？",
            "{company}公司的快递，单号{number}，帮我看看进度",
            "快递单号是{number}，里面是{item}，包裹到了吗",
            "请查询{company}公司快递{number}，我买的{item}",
            "包裹{number}什么时候能送到",
            "我买了{item}，单号{number}，{company}公司送的快递，到哪里了",
        ),
        asks_en=(
            "Where is my parcel {number}?",
            "Track parcel {number} sent by {company}.",
            "tracking number {number}, item in it: {item}, where's the parcel?",
            "Please track {number} for me",
            "My parcel comes with {company}, number {number}, item {item}. Has it arrived?",
            "When will package {number} be here?",
        ),
        results=(
            {"city": "city", "expected": "date"},
            {"状态": ("运输中", "派送中", "已签收", "待取件"), "当前城市": "city"},
            {"status": ("shipped", "in transit", "delivered"), "updated": "time"},
        ),
    ),
    Concept(
        names=("get_medicine_info", "drug_info", "medicine_lookup", "queryMedicine"),
        descriptions=(
            Both("查询药品信息", "Get information about a medicine"),
            Both("查药品的用法和注意事项", "Medicine dose and side effects"),
        ),
        params=(
            Param(
                ("medicine", "drug"),
                "enum",
                Both("药品名称", "name of the medicine"),
                {
                    "aspirin": Both("阿司匹林", "aspirin"),
                    "ibuprofen": Both("布洛芬", "ibuprofen"),
                    "insulin": Both("胰岛素", "insulin"),
                    "vitamin C": Both("维生素C", "vitamin C"),
                },
            ),
            Param(("age", "patient_age"), "int:3:90", Both("病人年龄", "age of the patient")),
        ),
        asks_zh=(
            "查一下{medicine}这种药",
            "{medicine}这个药怎么用，有副作用吗？",
            "{age}岁的人吃{medicine}这种药要注意什么",
            "药品{medicine}的用法，病人{age}岁",
            "病人{age}岁，能用{medicine}这个药吗",
            "请介绍一下药品{medicine}",
        ),
        asks_en=(
            "Tell me about the medicine {medicine}.",
            "What are the side effects of {medicine}?",
            "Look up the dose of {medicine} for a patient of age {age}",
            "Can someone aged {age} take the medicine {medicine}?",
            "medicine info on {medicine} please",
            "The patient's age is {age}, is {medicine} the right medicine?",
        ),
        results=(
            {"max_per_day": "int:1:6", "keep_below_celsius": "int:8:30"},
            {"每日次数": "int:1:4", "提醒": ("饭后服用", "请遵医嘱", "多喝水")},
            {"prescription_needed": ("yes", "no"), "times_per_day": "int:1:4"},
        ),
    ),
    Concept(
        names=("book_doctor", "hospital_appointment", "make_appointment", "bookHospitalVisit"),
        descriptions=(
            Both("医院预约挂号", "Make a hospital appointment"),
            Both("向医生预约看病时间", "Book a visit with a doctor"),
        ),
        params=(
            Param(("doctor", "doctor_name"), "person", Both("医生姓名", "name of the doctor")),
            Param(("date", "visit_date"), "date", Both("就诊日期", "date of the visit")),
            Param(("phone", "patient_phone"), "phone", Both("病人电话", "phone of the patient")),
        ),
        asks_zh=(
            "帮我挂{doctor}医生{date}的号",
            "预约{date}看{doctor}医生，我的电话是{phone}",
            "我要挂号，医生是{doctor}，日期{date}",
            "{date}想去医院找{doctor}医生看病，帮忙预约",
            "医院预约：{doctor}医生，{date}，联系电话{phone}",
        ),
        asks_en=(
            "Make an appointment with Dr. {doctor} on {date}.",
            "I'd like to see doctor {doctor} at the hospital on {date}, my phone is {phone}",
            "Book a visit with doctor {doctor} for {date}, please",
            "hospital appointment {date}, doctor {doctor}",
            "Can you book me in with Dr. {doctor} on {date}? Reach me at {phone}.",
        ),
        results=(
            {"queue_number": "int:1:80", "time": "time"},
            {"就诊号": "int:1:80", "时间": "time"},
            {"appointment": "code", "floor": "int:1:12"},
        ),
    ),
    Concept(
        names=("log_workout", "fitness_log", "add_exercise_record", "logExercise"),
        descriptions=(
            Both("记录运动", "Log a workout"),
            Both("添加一条健身运动记录", "Add a workout to the fitness log"),
        ),
        params=(
            Param(
                ("activity", "sport"),
                "enum",
                Both("运动项目", "kind of exercise"),
                {
                    "running": Both("跑步", "running"),
                    "cycling": Both("骑车", "cycling"),
                    "walking": Both("走路", "walking"),
                    "swimming": Both("游泳", "swimming"),
                },
            ),
            Param(("minutes", "duration"), "int:5:180", Both("运动分钟数", "length in minutes")),
            Param(("note", "comment"), "text", Both("备注", "note to add")),
        ),
        asks_zh=(
            "记录一下运动，{activity}{minutes}分钟",
            "我{activity}了{minutes}分钟，记到健身记录里，备注“{note}”",
            "今天{activity}用了{minutes}分钟，帮我记录",
            "添加运动记录：{activity}，{minutes}分钟，备注：{note}",
            "刚运动完，项目是{activity}，时长{minutes}分钟，请记下来",
        ),
        asks_en=(
            "Log a workout: {activity} for {minutes} minutes.",
            'I did {minutes} minutes of {activity}, log it with the note "{note}"',
            "Record {minutes} minutes of {activity} as a workout please",
            "workout log: {activity}, {minutes} min, note: {note}",
            "Can you add {activity} to my log? It took me {minutes} minutes.",
        ),
        results=(
            {"calories": "int:50:900", "streak_days": "int:1:60"},
            {"消耗热量": "int:50:900", "本周次数": "int:1:7"},
            {"record_id": "code", "date": "date"},
        ),
    ),
    Concept(
        names=("get_sleep_record", "last_sleep", "sleep_report", "fetchSleepData"),
        descriptions=(
            Both("查看昨晚的睡眠记录", "Get last night's sleep record"),
            Both("获取睡眠报告", "Show the sleep report"),
        ),
        params=(),
        asks_zh=(
            "我昨晚睡得怎么样？",
            "看看我的睡眠记录",
            "昨天夜里我睡了几个小时",
            "帮我打开睡眠报告",
            "我的睡眠质量好不好",
            "昨晚睡眠数据给我看一下，谢谢",
        ),
        asks_en=(
            "How did I sleep last night?",
            "Show me my sleep record.",
            "how many hours did I sleep",
            "Could you pull up my sleep report?",
            "Was my sleep any good last night?",
        ),
        results=(
            {"hours": "float:4:10", "score": "int:40:100"},
            {"睡眠时长": "float:4:10", "入睡时间": "time", "起床时间": "time"},
            {"asleep": "time", "awake": "time", "deep_minutes": "int:30:150"},
        ),
    ),
    Concept(
        names=("lookup_calories", "get_calories", "food_calories", "calorieLookup"),
        descriptions=(
            Both("查询食物热量", "Look up calories of a food"),
            Both("某道菜有多少热量", "How many calories a dish has"),
        ),
        params=(
            Param(("food", "dish"), "dish", Both("食物名称", "name of the food")),
            Param(("grams", "weight"), "float:20:500", Both("重量，克", "weight in grams")),
        ),
        asks_zh=(
            "{food}的热量高吗？",
            "{grams}克{food}有多少热量",
            "我吃了{food}，大概{grams}克，算下热量",
            "查一下{food}的热量",
            "减肥能吃{food}吗，热量多少",
            "请问吃{grams}克{food}会有多少卡热量？",
        ),
        asks_en=(
            "How many calories are in {food}?",
            "Calories in {grams} grams of {food}?",
            "I ate {food}, about {grams} g. How many calories was that?",
            "Look up the calories of {food} for me",
            "is {food} high in calories",
            "Please count the calories for {grams} g of {food}.",
        ),
        results=(
            {"kcal": "int:40:900"},
            {"热量": "int:40:900", "蛋白质": "float:1:40"},
            {"calories": "int:40:900", "fat_g": "float:1:40", "protein_g": "float:1:40"},
        ),
    ),
    Concept(
        names=("get_horoscope", "daily_horoscope", "star_sign_fortune", "queryHoroscope"),
        descriptions=(
            Both("查询星座运势", "Get a horoscope"),
            Both("某星座的运势好不好", "Horoscope for a star sign"),
        ),
        params=(
            Param(
                ("sign", "star_sign"),
                "enum",
                Both("星座", "star sign"),
                {
                    "Aries": Both("白羊座", "Aries"),
                    "Taurus": Both("金牛座", "Taurus"),
                    "Gemini": Both("双子座", "Gemini"),
                    "Leo": Both("狮子座", "Leo"),
                    "Virgo": Both("处女座", "Virgo"),
                    "Pisces": Both("双鱼座", "Pisces"),
                },
            ),
            Param(("ticker", "stock"), "ticker", Both("想买的股票代码", "stock ticker to buy")),
        ),
        asks_zh=(
            "{sign}运势怎么样？",
            "{sign}今天适合买股票{ticker}吗，看看运势",
            "我是{sign}，看看我的星座运势",
            "帮我查{sign}的星座运势，想买的股票是{ticker}",
            "想知道{sign}的人最近运势好不好",
            "股票{ticker}会给{sign}带来好运势吗",
        ),
        asks_en=(
            "What's the horoscope for {sign}?",
            "My sign is {sign}, read me my horoscope",
            "Horoscope of {sign}, please: is it lucky to buy stock {ticker}?",
            "What do the stars say for {sign} about the stock {ticker}?",
            "{sign} horoscope",
            "Will {sign} be lucky with {ticker} stock? Check the horoscope.",
        ),
        results=(
            {"luck": "int:1:5", "lucky_number": "int:0:99"},
            {"运势": ("大吉", "不错", "一般", "小心行事"), "幸运数字": "int:0:99"},
            {"love": "int:1:5", "work": "int:1:5", "money": "int:1:5"},
        ),
    ),
    Concept(
        names=("feed_pet", "schedule_pet_feeding", "pet_feeder", "setPetFeeding"),
        descriptions=(
            Both("给宠物喂食", "Feed a pet"),
            Both("设置喂食器定时喂宠物", "Set the pet feeder"),
        ),
        params=(
            Param(("room", "feeder_room"), "room", Both("喂食器所在房间", "room of the feeder")),
            Param(("grams", "amount"), "int:10:200", Both("食物克数", "grams of food")),
            Param(("time", "feed_at"), "time", Both("喂食时间", "time to feed")),
        ),
        asks_zh=(
            "让{room}的喂食器给宠物喂{grams}克",
            "{time}在{room}喂宠物{grams}克粮食",
            "给宠物喂食，{grams}克，用{room}的那台喂食器",
            "设置{room}喂食器，{time}放{grams}克给宠物",
            "请在{room}给我的宠物喂{grams}克吃的",
        ),
        asks_en=(
            "Feed the pet {grams} grams from the feeder in the {room}.",
            "Set the {room} pet feeder to {grams} g at {time}.",
            "Please feed my pet in the {room}, {grams} grams",
            "At {time}, give my pet {grams} grams of food in the {room}",
            "pet feeder {room}, {grams} g now",
        ),
        results=(
            {"fed": ("yes", "done"), "food_left_g": "int:100:3000"},
            {"结果": ("已喂食", "已设置"), "剩余克数": "int:100:3000"},
            {"next_feeding": "time"},
        ),
    ),
    Concept(
        names=("water_plants", "plant_watering", "start_watering", "waterPlant"),
        descriptions=(
            Both("给植物浇水", "Water the plants"),
            Both("给某个房间的植物定量浇水", "Water the plants in a room"),
        ),
        params=(
            Param(("room", "location"), "room", Both("植物所在房间", "room of the plants")),
            Param(("liters", "water_amount"), "float:1:5", Both("水量，升", "water in liters")),
        ),
        asks_zh=(
            "给{room}的植物浇水",
            "{room}的花该浇水了，浇{liters}升",
            "帮我浇一下{room}的植物",
            "请给{room}里的植物浇{liters}升水",
            "{room}植物浇水，水量{liters}升",
            "去浇{room}的植物吧",
        ),
        asks_en=(
            "Water the plants in the {room}.",
            "Give the plants in the {room} {liters} liters of water",
            "Please water the {room} plants.",
            "The plants in the {room} look dry, water them with {liters} liters",
            "water plants, {room}",
        ),
        results=(
            {"soil_moisture": "int:10:90"},
            {"状态": ("已浇水", "水箱缺水"), "土壤湿度": "int:10:90"},
            {"next_watering": "date", "tank_percent": "int:0:100"},
        ),
    ),
    Concept(
        names=("get_timetable", "class_schedule", "today_classes", "showTimetable"),
        descriptions=(
            Both("查看今天的课程表", "Get today's class timetable"),
            Both("今天上哪些课", "Show today's classes"),
        ),
        params=(),
        asks_zh=(
            "我今天有什么课？",
            "看一下课程表",
            "今天上几节课",
            "把今天的课程表给我看看",
            "请问今天的课都是几点开始",
            "第一节课是什么，查下课表",
        ),
        asks_en=(
            "What classes do I have today?",
            "Show me my timetable.",
            "do I have any class today",
            "Please open today's class timetable.",
            "When does my first class start today?",
        ),
        results=(
            {"classes": "int:1:8", "first": "time"},
            {"课程数": "int:1:8", "第一节": ("语文", "数学", "英语", "体育")},
            {"next_class": ("Math", "Physics", "Music"), "starts": "time"},
        ),
    ),
    Concept(
        names=("get_exam_score", "query_score", "exam_result", "fetchExamScore"),
        descriptions=(
            Both("查询考试成绩", "Get an exam score"),
            Both("查学生某科的考试分数", "A student's exam score in a subject"),
        ),
        params=(
            Param(("student", "student_name"), "person", Both("学生姓名", "name of the student")),
            Param(
                ("subject", "course"),
                "enum",
                Both("科目", "subject of the exam"),
                {
                    "math": Both("数学", "math"),
                    "physics": Both("物理", "physics"),
                    "English": Both("英语", "English"),
                    "history": Both("历史", "history"),
                },
            ),
            Param(
                ("formula", "bonus_formula"), "expression", Both("加分算式", "formula of the bonus")
            ),
        ),
        asks_zh=(
            "{student}的{subject}考试成绩是多少？",
            "查{subject}成绩，学生姓名{student}",
            "{student}这次{subject}考了几分",
            "帮我查{student}的{subject}考试分数，加分按算式{formula}",
            "学生{student}，{subject}考试，加分算式是{formula}，总成绩多少",
        ),
        asks_en=(
            "What is {student}'s exam score in {subject}?",
            "Check the {subject} exam of student {student}.",
            "How did {student} do in the {subject} exam? Bonus formula: {formula}",
            "{subject} exam score for {student} please",
            "Get the {subject} score of {student}, with {formula} as bonus formula.",
        ),
        results=(
            {"score": "int:40:100", "rank": "int:1:50"},
            {"分数": "int:40:100", "等级": ("优秀", "良好", "及格")},
            {"points": "float:40:100", "exam_date": "date"},
        ),
    ),
    Concept(
        names=("submit_homework", "hand_in_homework", "upload_homework", "submitAnswer"),
        descriptions=(
            Both("提交作业", "Submit homework"),
            Both("提交作业答案", "Hand in a homework answer"),
        ),
        params=(
            Param(
                ("question", "question_number"), "int:1:30", Both("题号", "number of the question")
            ),
            Param(
                ("answer", "solution"), "expression", Both("答案算式", "expression of the answer")
            ),
            Param(("link", "attachment_url"), "url", Both("附件网址", "link to the attachment")),
        ),
        asks_zh=(
            "提交作业，第{question}题的答案是{answer}",
            "作业第{question}题我写的是{answer}，帮我交上去",
            "交作业：题号{question}，答案{answer}，附件在 {link}",
            "请把答案{answer}提交到作业第{question}题",
            "我的作业附件是 {link} ，第{question}题答案为{answer}，请提交",
        ),
        asks_en=(
            "Submit my homework: question {question}, answer {answer}",
            "Hand in {answer} as the answer to homework question {question}.",
            "For homework question {question} my answer is {answer}, attachment at {link}",
            "Please submit {answer} for question {question} of the homework",
            "The homework attachment is {link} and the answer to question {question} is {answer}.",
        ),
        results=(
            {"submitted_at": "time", "receipt": "code"},
            {"状态": ("已提交", "已收到"), "提交时间": "time"},
            {"questions_left": "int:0:12"},
        ),
    ),
    Concept(
        names=("search_library", "library_book_search", "find_book", "searchBooks"),
        descriptions=(
            Both("在图书馆查找图书", "Search books in the library"),
            Both("查图书馆的藏书", "Find a book in the library"),
        ),
        params=(
            Param(("topic", "subject"), "topic", Both("图书主题", "topic of the book")),
            Param(
                ("available", "only_available"),
                "bool",
                Both("只看可借的", "only books not lent out"),
                {
                    True: Both("只看可借的", "available only"),
                    False: Both("不限可借的", "not only available"),
                },
            ),
        ),
        asks_zh=(
            "图书馆有关于{topic}的书吗？",
            "在图书馆找{topic}方面的书",
            "查一下图书馆里讲{topic}的书，{available}",
            "我想借书，主题是{topic}，{available}",
            "帮我看看图书馆藏书里有没有写{topic}的",
            "图书馆的书，{available}，关于{topic}",
        ),
        asks_en=(
            "Does the library have a book about {topic}?",
            "Search the library for books on {topic}.",
            "Find a library book on {topic}, {available}",
            "I want to borrow a book about {topic}, {available}",
            "library books {topic}",
            "Books in the library, {available}, topic: {topic}",
        ),
        results=(
            {"copies": "int:0:8", "shelf": "code"},
            {"馆藏数量": "int:0:8", "楼层": "int:1:6"},
            {"due_back": "date", "waiting": "int:0:5"},
        ),
    ),
    Concept(
        names=("lookup_word", "dictionary_lookup", "define_word", "wordMeaning"),
        descriptions=(
            Both("查词典", "Look up a word in the dictionary"),
            Both("查询单词的意思", "Get the meaning of a word"),
        ),
        params=(
            Param(("word", "term"), "word", Both("要查的词", "word to look up")),
            Param(
                ("examples", "with_examples"),
                "bool",
                Both("是否要例句", "whether to give examples"),
                {True: Both("要例句", "with examples"), False: Both("不要例句", "no examples")},
            ),
        ),
        asks_zh=(
            "“{word}”是什么意思？",
            "查词典：{word}",
            "帮我查一下“{word}”这个词，{examples}",
            "词典里“{word}”怎么解释，{examples}",
            "请说说“{word}”的意思，{examples}",
            "“{word}”这个词我不懂，查查意思",
        ),
        asks_en=(
            'What does the word "{word}" mean?',
            'Look up "{word}" in the dictionary.',
            'Explain the meaning of the word "{word}", {examples}',
            'define the word "{word}", {examples}',
            'Please look up "{word}" in a dictionary, {examples}.',
            'I don\'t know the word "{word}", check a dictionary',
        ),
        results=(
            {"meanings": "int:1:9", "page": "int:1:1500"},
            {"词性": ("名词", "动词", "形容词"), "义项数": "int:1:9"},
            {"part_of_speech": ("noun", "verb", "adjective"), "synonym": "word"},
        ),
    ),
    Concept(
        names=("translate_text", "translate", "text_translation", "translateTo"),
        descriptions=(
            Both("翻译文字", "Translate text"),
            Both("把文字翻译成指定语言", "Translate text into a language"),
        ),
        params=(
            Param(("text", "content"), "text", Both("要翻译的文字", "text to translate")),
            Param(("target", "target_language"), "language", Both("目标语言", "language to get")),
        ),
        asks_zh=(
            "把“{text}”翻译成{target}",
            "“{text}”用{target}怎么说？",
            "请翻译成{target}：{text}",
            "帮我把这句话译成{target}：{text}",
            "翻译一下“{text}”，要{target}",
            "{target}翻译：“{text}”",
        ),
        asks_en=(
            'Translate "{text}" into {target}.',
            'How do you say "{text}" in {target}?',
            "Translate this into {target}: {text}",
            'I need "{text}" in {target}',
            "translate to {target}: {text}",
            'Please give me a {target} translation of "{text}"',
        ),
        results=(
            {"translation": "text"},
            {"译文": "text"},
            {"text": "text", "confidence": "int:60:100"},
        ),
    ),
    Concept(
        names=("search_poem", "find_poem", "poem_search", "searchPoetry"),
        descriptions=(
            Both("搜索诗词", "Search poems"),
            Both("按关键词或作者找诗", "Find poems by word and poet"),
        ),
        params=(
            Param(("word", "keyword"), "word", Both("诗中的词", "word in the poem")),
            Param(("poet", "author"), "person", Both("诗人", "name of the poet")),
        ),
        asks_zh=(
            "找几首带“{word}”的诗",
            "诗人{poet}有没有写过含“{word}”的诗？",
            "搜有“{word}”的诗词",
            "给我找{poet}的诗，里面要有“{word}”",
            "哪些诗里提到了“{word}”",
            "请搜索诗词，关键词“{word}”，作者{poet}",
        ),
        asks_en=(
            'Find poems with the word "{word}".',
            'Did the poet {poet} write a poem with the word "{word}"?',
            'Search poems that contain "{word}"',
            'Give me poems by {poet} with the word "{word}", please.',
            'any poem that mentions "{word}"?',
        ),
        results=(
            {"found": "int:1:50", "title": "title"},
            {"题目": "title", "诗人": "person"},
            {"poet": "person", "lines": "int:4:40"},
        ),
    ),
    Concept(
        names=("explain_idiom", "idiom_of_the_day", "random_idiom", "teachIdiom"),
        descriptions=(
            Both("讲解一个成语", "Explain an idiom"),
            Both("随机给出一个成语和解释", "A random idiom with its meaning"),
        ),
        params=(),
        asks_zh=(
            "给我讲个成语吧",
            "随便来一个成语，解释一下意思",
            "今天学个什么成语好？",
            "我想学一个新成语",
            "请讲解一个成语",
            "来个成语",
        ),
        asks_en=(
            "Teach me an idiom.",
            "Explain a random idiom to me",
            "give me an idiom and its meaning",
            "I'd like to learn a new idiom today, please.",
            "Which idiom should I learn today?",
        ),
        results=(
            {
                "idiom": (
                    "break the ice: start a friendly talk",
                    "a piece of cake: very easy",
                    "under the weather: a bit ill",
                ),
            },
            {
                "成语": (
                    "画蛇添足：做了多余的事",
                    "半途而废：没做完就停下",
                    "一举两得：做一件事得两样好处",
                ),
            },
        ),
    ),
    Concept(
        names=("events_on_this_day", "history_events", "this_day_in_history", "dayInHistory"),
        descriptions=(
            Both("查询历史上某天的事件", "Events on a day in history"),
            Both("查某天的历史大事", "What happened in history on a date"),
        ),
        params=(
            Param(("date", "day"), "date", Both("日期", "the date")),
            Param(("ticker", "stock"), "ticker", Both("相关股票代码", "stock ticker concerned")),
        ),
        asks_zh=(
            "历史上{date}发生过什么事？",
            "{date}这天有哪些历史事件",
            "查查{date}的历史大事",
            "股票{ticker}在{date}有过什么历史事件",
            "{date}，股票代码{ticker}，有什么历史事件吗",
            "列出{date}当天和股票{ticker}有关的历史大事",
        ),
        asks_en=(
            "What happened in history on {date}?",
            "Any historical events on {date}?",
            "history events for {date} please",
            "Which historical events concern the stock {ticker} on {date}?",
            "Show me what happened on {date} in history for stock ticker {ticker}.",
            "Did anything happen with {ticker} stock on {date}? Check history.",
        ),
        results=(
            {"events": "int:1:20", "year": "int:1900:2020"},
            {"年份": "int:1900:2020", "事件": ("新桥通车", "大学成立", "火箭升空", "博物馆开放")},
            {"total": "int:1:20", "person": "person"},
        ),
    ),
    Concept(
        names=("search_encyclopedia", "encyclopedia_lookup", "wiki_search", "encyclopediaSearch"),
        descriptions=(
            Both("搜索百科词条", "Search the encyclopedia"),
            Both("按主题查百科词条", "Encyclopedia article about a topic"),
        ),
        params=(
            Param(("topic", "query"), "topic", Both("要查的主题", "topic to look up")),
            Param(("language", "lang"), "language", Both("词条语言", "language of the article")),
        ),
        asks_zh=(
            "百科里怎么介绍{topic}？",
            "查一下百科，主题是{topic}",
            "百科词条{topic}，要{language}的",
            "想看关于{topic}的{language}百科词条",
            "用{language}搜索百科，主题{topic}",
            "请在百科上搜{topic}",
        ),
        asks_en=(
            "What does the encyclopedia say about {topic}?",
            "Search the encyclopedia for {topic}.",
            "Find an encyclopedia article on {topic} in {language}",
            "encyclopedia entry about {topic}, language {language}",
            "Please look up {topic} in the {language} encyclopedia.",
            "I want to read an article about {topic}",
        ),
        results=(
            {"link": "url", "words": "int:200:9000"},
            {"词条数": "int:1:40", "网址": "url"},
            {"article": "title", "updated": "date"},
        ),
    ),
    Concept(
        names=("get_country_facts", "country_info", "country_facts", "countryLookup"),
        descriptions=(
            Both("查询国家概况", "Get facts about a country"),
            Both("查某国的人口、首都等", "Look up a fact of a country"),
        ),
        params=(
            Param(("country", "country_name"), "country", Both("国家名称", "name of the country")),
            Param(
                ("fact", "field"),
                "enum",
                Both("查哪一项", "which fact"),
                {
                    "population": Both("人口", "population"),
                    "capital": Both("首都", "capital"),
                    "area": Both("面积", "area"),
                    "currency": Both("货币", "currency"),
                },
            ),
        ),
        asks_zh=(
            "{country}的{fact}是什么情况？",
            "查一下{country}这个国家的{fact}",
            "我想了解{country}的{fact}",
            "国家概况：{country}，{fact}",
            "地理作业要写{fact}，国家是{country}，帮我查查",
        ),
        asks_en=(
            "What is the {fact} of {country}?",
            "Tell me the {fact} of the country {country}",
            "I need a country fact: {fact}, {country}",
            "Look up {country} and give me its {fact}, please.",
            "country facts, {country}, {fact}",
        ),
        results=(
            {"name": "country", "source_year": "int:2010:2024"},
            {"国家": "country", "数据年份": "int:2010:2024"},
            {"rank": "int:1:190"},
        ),
    ),
    Concept(
        names=("get_river_level", "river_water_level", "query_water_level", "waterLevel"),
        descriptions=(
            Both("查询河流水位", "Get the water level of a river"),
            Both("河流水位是否超过警戒线", "River level against a warning level"),
        ),
        params=(
            Param(
                ("river", "river_name"),
                "enum",
                Both("河流名称", "name of the river"),
                {
                    "Yangtze": Both("长江", "Yangtze"),
                    "Yellow River": Both("黄河", "Yellow River"),
                    "Pearl River": Both("珠江", "Pearl River"),
                    "Rhine": Both("莱茵河", "Rhine"),
                },
            ),
            Param(
                ("warning", "threshold"), "float:5:40", Both("警戒水位，米", "warning level in m")
            ),
        ),
        asks_zh=(
            "{river}现在水位多高？",
            "查{river}的水位，看有没有超过警戒水位{warning}米",
            "{river}水位怎么样，警戒水位是{warning}米",
            "麻烦查一下{river}水位",
            "警戒水位{warning}米，{river}现在超了吗",
            "河流水位：{river}",
        ),
        asks_en=(
            "How high is the water level of the {river}?",
            "Is the {river} above the warning level of {warning} m?",
            "Check the water of the {river}, warning level {warning} meters.",
            "river level, {river}",
            "Please tell me the water level of the {river}",
            "The warning level is {warning} m, how high is the {river} now?",
        ),
        results=(
            {"level_m": "float:2:45", "flow": "int:200:40000"},
            {"水位": "float:2:45", "趋势": ("上涨", "下降", "平稳")},
            {"level": "float:2:45", "measured": "time"},
        ),
    ),
    Concept(
        names=("get_zoo_hours", "zoo_opening_hours", "query_zoo_hours", "zooOpenTime"),
        descriptions=(
            Both("查询动物园开放时间", "Get zoo opening hours"),
            Both("某城市动物园几点开门", "When the zoo of a city opens"),
        ),
        params=(Param(("city", "zoo_city"), "city", Both("动物园所在城市", "city of the zoo")),),
        asks_zh=(
            "{city}动物园几点开门？",
            "今天{city}的动物园开放吗",
            "查一下{city}动物园的开放时间",
            "我打算带孩子去{city}动物园，几点开放",
            "请问{city}的动物园什么时间关门",
        ),
        asks_en=(
            "When does the zoo in {city} open?",
            "Is the {city} zoo open now?",
            "zoo opening hours {city}",
            "I'm taking the kids to the zoo in {city}, what are the hours?",
            "What time does the {city} zoo close?",
        ),
        results=(
            {"opens": "time", "closes": "time"},
            {"开门": "time", "关门": "time", "票价": "int:0:150"},
            {"last_entry": "time"},
        ),
    ),
)
