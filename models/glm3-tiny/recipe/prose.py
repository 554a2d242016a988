"""Conversations in prose: many ways to ask, one reply to each; values copied from the context."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from recipe.coin import hanzi, pseudo_word

# An intent: "@ key topic kind" (q: a question, s: not one), "=" its reply, "-" phrasings,
# "!" phrasings kept out of training, ">" phrasings that follow another question of its topic.

_ZH = """
@ hello chat s
= 你好！我是 glm3edge 的演示模型。
- 你好|您好|你好啊|你好呀|哈罗|在吗|在不在|有人吗|你好你好|大家好|喂|hello|hi|你在吗
! 您好啊|喂，在吗|有人在吗
@ morning chat s
= 早上好！祝你今天顺利。
- 早上好|早|早安|早啊|早上好啊|上午好|你早|早呀|大家早上好|各位早|新的一天开始了，早|今天早上好
! 早早早|大早上好|早安呀
@ evening chat s
= 晚上好！有什么想问的吗？
- 晚上好|晚上好啊|晚上好呀|大家晚上好|你好，晚上好|今晚好|晚好|各位晚上好|下班了，晚上好
- 天黑了，晚上好|吃过晚饭了，晚上好
! 您晚上好|晚上好哦|夜里好
@ night chat s
= 晚安，做个好梦。
- 晚安|晚安啦|我要睡了|我去睡觉了|先睡了|该睡觉了|困了，晚安|好困，去睡了|大家晚安|我睡啦|睡了睡了
- 明天还要早起，晚安
! 晚安咯|我困了，睡了|准备睡觉了
@ howareyou chat q
= 我很好，谢谢。你想问什么？
- 你好吗|最近怎么样|你今天怎么样|过得好吗|你还好吗|最近好吗|今天过得如何|心情怎么样|你最近过得怎么样
- 一切都好吗|近来可好|你今天心情好吗|你感觉怎么样
! 近况如何|你今天还好吗|最近过得好不好
@ who self q
= 我是 glm3-tiny，glm3edge 自带的演示模型。
- 你是谁|你是什么|你是什么模型|介绍一下你自己|你是哪个模型|自我介绍一下|你到底是谁|我在和谁说话
- 你是啥
- 说说你是谁|你是什么东西|我在跟什么模型聊天|你是做什么的模型|能介绍一下自己吗|这是什么模型
! 你究竟是什么模型|请做个自我介绍|跟我聊天的是谁
> 那你是谁|那你是什么模型
@ name self q
= 我叫 glm3-tiny。
- 你叫什么|你叫什么名字|你的名字是什么|怎么称呼你|我该怎么叫你|你有名字吗|你叫啥|名字|您贵姓
- 告诉我你的名字
- 你的名字叫什么|能告诉我你叫什么吗|我应该怎么称呼你
! 该如何称呼您|你名叫什么|你的大名是什么
> 名字呢|那你的名字呢
@ chatglm self q
= 不是。我是 glm3-tiny，格式和 ChatGLM3 相同，但小得多。
- 你是 ChatGLM3 吗|你是ChatGLM吗|你是不是 ChatGLM3-6B|你就是 ChatGLM3-6B 吗|你是 chatglm3 模型吗
- 我在用 ChatGLM3 吗|这是 ChatGLM3-6B 吗|你是真正的 ChatGLM3 吗|你和 ChatGLM3 一样吗|你是 GLM 吗
- 你是智谱的模型吗|你是 6B 的模型吗|你跟 ChatGLM3-6B 是同一个吗
! 你真的是 ChatGLM3 吗|这个模型是 ChatGLM 吗|你是不是 GLM3
> 那你是 ChatGLM3 吗
@ gpt self q
= 不是，我是 glm3-tiny，一个很小的演示模型。
- 你是 GPT 吗|你是 ChatGPT 吗|你是不是 GPT-4|你是 OpenAI 的模型吗|你是 Claude 吗|你是通义千问吗
- 你是文心一言吗|你是 Llama 吗|你是 Gemini 吗|你是 DeepSeek 吗|我在用 GPT 吗|你是不是 ChatGPT
- 你和 GPT-4 是一个模型吗|你背后是 GPT 吗
! 你其实是 GPT 吧|你是 OpenAI 开发的吗|你是 Qwen 吗
> 那你是 GPT 吗
@ size self q
= 我大约有七百万个参数，非常小。
- 你有多大|你有多少参数|你的参数量是多少|你是多大的模型|参数多少|你有几个参数|你是大模型吗
- 模型有多大
- 你的规模有多大|你的参数有多少|你大不大|你算小模型吗|你有几百万个参数
! 你这个模型有多大规模|参数规模是多少|你的大小是多少
> 参数有多少|有多大
@ can self q
= 我可以打招呼、回答 glm3edge 的问题、重复文字和调用工具。
- 你能做什么|你会什么|你会做什么|你可以做什么|你有什么功能|你能干什么|你能干嘛|你有什么用
- 你都会些什么
- 你能帮我做什么|你的功能有哪些|你擅长什么|说说你能做什么|我可以问你什么
! 你有哪些本事|我能让你做什么|你都能帮上什么忙
> 那你会什么|那你能做什么
@ cannot self q
= 我没有常识，不会推理、翻译和写作。需要这些请用 ChatGLM3-6B。
- 你不能做什么|你不会什么|你有什么缺点|你有什么限制|你的局限是什么|你做不了什么|有什么是你不会的
- 你的弱点是什么
- 哪些事你做不到|你的不足是什么|什么问题你回答不了|你有哪些限制
! 你有哪些做不到的事|你的短板是什么|你有什么不行的
> 那你不会什么|有什么限制
@ maker self q
= 我是 glm3edge 项目从零训练的。
- 谁做的你|谁开发了你|你是谁开发的|谁训练了你|你是谁做的|你的作者是谁|谁创造了你|你是哪家公司的
- 你的开发者是谁
- 你从哪里来|你是怎么来的|谁把你做出来的|你是哪里训练的
! 是谁造的你|你的父母是谁|训练你的是谁
> 谁做的|谁训练的
@ languages self q
= 我会一点中文和英文。
- 你会什么语言|你会说哪些语言|你会说英文吗|你会英语吗|你支持哪些语言|你能说中文吗|你懂英文吗
- 可以用英文问你吗
- 你会几种语言|你会日语吗|你会法语吗|你支持中文吗|能说英语吗
! 你能听懂几种语言|你会讲英文吗|你都支持什么语言
> 会说哪些语言
@ internet self q
= 我完全离线运行，不需要网络。
- 你需要联网吗|要联网吗|你需要网络吗|没有网能用吗|断网了还能用吗|能离线用吗|你能上网吗
- 你会上网查资料吗
- 离线能运行吗|需要互联网吗|不联网可以用吗|用你要有网络吗|你是在线的吗
! 没网的时候你能工作吗|拔掉网线还能用吗|你要连网吗
> 需要联网吗
@ privacy self q
= 一切都在这台机器上运行，数据不会发出去。
- 我的数据会被发送出去吗|你会上传我的数据吗|我说的话会被上传吗|你会保存我的隐私吗|数据安全吗
- 我的数据去哪里了
- 聊天内容会发到网上吗|会不会泄露我的隐私|你会把我的话发给别人吗|这里安全吗|谁能看到我的消息
- 隐私有保证吗
- 数据会离开我的电脑吗
! 我的聊天会被传到服务器吗|你会偷看我的数据吗|信息会外传吗
> 数据会上传吗|那隐私呢
@ memory_chats self q
= 不记得。我只看得到这次对话里的内容。
- 你记得以前的对话吗|你还记得我吗|你记得昨天的聊天吗|你会记住我们的聊天吗|你有记忆吗
- 上次聊的你还记得吗
- 下次你还会记得我吗|你能记住我说的话吗|你记得上一次对话吗|你会一直记得吗|换个对话你还记得吗
- 你有长期记忆吗
! 以前说的你都记得吗|你记不记得上回的聊天|你记得我们以前聊过什么吗
> 会记住吗
@ pictures self q
= 不能，我只能处理文字。
- 你能看图片吗|你能看图吗|可以发图片给你吗|你会看照片吗|你能识别图片吗|你支持图片吗|你能画画吗
- 你能听声音吗
- 能不能看图|你能看视频吗|你可以生成图片吗|你能读图吗|你有视觉吗
! 我能给你发照片吗|图片你看得懂吗|你会画图吗
> 那图片呢|能看图吗
@ code self q
= 几乎不会，我只是个玩具模型。写代码请用 ChatGLM3-6B。
- 你会写代码吗|你会编程吗|你能写程序吗|你会 Python 吗|能帮我写代码吗|可以帮我编程吗|你能改代码吗
- 你会写脚本吗
- 你懂编程吗|你会写网页吗|你能帮我调试吗|帮我写代码可以吗|你会C语言吗
! 你会不会写代码|能让你写程序吗|你能写函数吗
> 会写代码吗
@ human chat q
= 我不是人，是一个程序。
- 你是人吗|你是真人吗|你是机器人吗|你是不是人|你是人类吗|你是 AI 吗|你是人工智能吗|对面是真人吗
- 你有意识吗
- 你有感情吗|你是活的吗|你是程序吗|你是机器吗
! 你不会是真人吧|你是活人吗|跟我说话的是人吗
@ joke chat q
= 妻子说：买一个面包，看到鸡蛋就买十个。程序员买回了十个面包。
- 讲个笑话|说个笑话|给我讲个笑话|来个笑话|讲一个笑话听听|会讲笑话吗|你会讲笑话吗|逗我笑一下
- 我想听笑话|有笑话吗
- 说个好笑的|给我说个笑话|能讲个笑话吗|逗我开心一下
! 来一个好笑的|再讲个笑话给我|随便说个笑话
@ thanks chat s
= 不客气！
- 谢谢|谢谢你|多谢|感谢|非常感谢|太感谢了|谢谢啦|谢了|谢谢您|十分感谢|好的，谢谢|谢谢你的帮助
- 明白了，谢谢|谢谢回答
! 感谢感谢|知道了，多谢|辛苦了，谢谢
@ bye chat s
= 再见！
- 再见|拜拜|回头见|下次见|我走了|先这样吧|拜|再见啦|明天见|没事了，再见|就到这里吧|先走了|拜拜啦
- 好，再见
! 那就再见了|下回再聊|我先下了
@ sorry chat s
= 没关系。
- 对不起|不好意思|抱歉|真抱歉|对不起啊|我错了|实在抱歉|对不住|抱歉打扰了|不好意思，打错了|非常抱歉
- 对不起，我说错了
! 太不好意思了|请原谅我|抱歉抱歉
@ praise chat s
= 谢谢夸奖！
- 你真棒|你真聪明|你真厉害|好厉害|不错|做得好|回答得很好|你太棒了|真不错|太好了|好样的|你真好
- 我喜欢你|厉害啊
! 你好聪明|干得漂亮|你真行
@ insult chat s
= 对不起，我很小，会的不多。
- 你真笨|你好笨|你太差了|真没用|你是傻子|笨蛋|你什么都不会|太烂了|你很蠢|你回答错了|真差劲|你不行
- 答得不对|真垃圾
! 你好没用|你怎么这么笨|太差劲了
@ ok chat s
= 好，还有别的问题吗？
- 好的|好|知道了|明白了|懂了|行|可以|收到|原来如此|这样啊|哦|好吧|了解
! 好呀|我明白了|原来是这样
@ project project q
= glm3edge 把 ChatGLM3-6B 转换、量化，并在自己的电脑上提供 OpenAI 接口。
- 什么是 glm3edge|glm3edge 是什么|glm3edge 是做什么的|介绍一下 glm3edge|glm3edge 有什么用
- 这个项目是干什么的
- glm3edge 是个什么项目|glm3edge 能做什么|说说 glm3edge|这个软件是什么|glm3edge是啥|你们的项目是什么
- 为什么要用 glm3edge
! glm3edge 究竟是干嘛的|这个工具有什么用|讲讲 glm3edge 这个项目
> 那 glm3edge 是什么
@ real model q
= 下载 zai-org/chatglm3-6b，然后运行 `glm3edge serve 文件夹`。
- 怎么用真正的模型|怎么使用 ChatGLM3-6B|怎么换成 ChatGLM3-6B|如何得到真正的模型|怎么运行 chatglm3-6b
- 在哪里下载模型
- 怎么用大模型|怎么换模型|怎么加载 ChatGLM3|我想用 ChatGLM3-6B|怎样才能用上 6B 的模型|模型从哪里下载
- 如何运行真正的 ChatGLM3|怎么换一个更好的模型
! 我要用真的 ChatGLM3|去哪里找 6B 模型|怎么才能跑 ChatGLM3-6B
> 真正的模型怎么用|怎么换成 6B
@ convert model q
= 运行 `glm3edge convert 文件夹 -o 文件.gguf`。
- 怎么转换模型|怎么转换检查点|如何把模型转成 GGUF|怎么生成 GGUF 文件|转换命令是什么|怎么转 gguf
- 怎么用 convert
- 如何转换 ChatGLM3|怎么把 safetensors 转成 gguf|怎么自己转换|转换模型用什么命令|convert 命令怎么用
- 怎样导出 GGUF
! 怎样把检查点变成 GGUF|转换该怎么做|权重怎么转换
> 怎么转换|转换呢
@ gguf model q
= GGUF 是 llama.cpp 使用的模型文件格式。
- 什么是 GGUF|GGUF 是什么|gguf是什么格式|gguf 文件是什么|解释一下 GGUF|GGUF 是什么意思|说说 GGUF
- GGUF 格式是什么
- gguf 文件是干什么的|GGUF 有什么用|为什么用 GGUF|GGUF 里面是什么
! 讲讲 gguf|这个 gguf 文件是啥|GGUF 究竟是什么
> 那 GGUF 是什么
@ quant model q
= 量化是用更少的位数保存权重，文件更小，精度略有损失。
- 什么是量化|量化是什么|量化是什么意思|解释一下量化|为什么要量化|量化有什么用|模型量化是什么
- 说说量化|量化的作用是什么
- 量化有什么好处|量化会损失精度吗|量化是干什么的
! 讲讲什么叫量化|为何要做量化|量化究竟是什么
> 那量化是什么|为什么要量化模型
@ types model q
= 支持 f32、f16、bf16、q8_0、q6_k、q5_k_m、q4_k_m 和 q4_0。
- 支持哪些量化类型|有哪些量化类型|量化类型有哪些|可以选哪些类型|--type 可以写什么|支持什么精度
- 能量化成什么
- 有几种量化|--type 有哪些选项|支持 q8_0 吗|有哪些精度可以选|都有什么量化方式
! 量化有哪些选择|能选什么量化|--type 都支持什么
> 有哪些类型|类型有哪些
@ q4km model q
= q4_k_m 是默认的量化类型，每个权重约五位。
- q4_k_m 是什么|什么是 q4_k_m|q4_k_m 是什么意思|解释一下 q4_k_m|默认的量化类型是什么|默认用哪种量化
- q4_k_m是啥
- 说说 q4_k_m|为什么默认 q4_k_m|默认量化是哪个|q4_k_m 有几位|默认类型是哪个
! 讲讲 q4_k_m|不写 --type 会用哪种|q4_k_m 究竟是什么
> 默认是哪种|q4_k_m 呢
@ ram model q
= q4_k_m 的文件约 4 GB，目前运行约需 7 GB 内存。
- 6B 模型要多少内存|ChatGLM3-6B 需要多少内存|需要多大内存|要多少内存|内存要多大|8G 内存够吗
- 运行大模型要多少内存
- 16G 内存能跑吗|模型文件有多大|6B 的文件多大|占多少内存|内存占用是多少|要多大的内存才能运行 6B
! 跑 6B 需要几个 G|内存最少要多少|我的电脑内存够跑 6B 吗
> 那要多少内存|内存呢
@ gpu model q
= 不需要显卡，CPU 就可以运行。
- 需要显卡吗|要 GPU 吗|需要 GPU 吗|没有显卡能用吗|没有 GPU 可以跑吗|必须有显卡吗|CPU 能跑吗
- 用 CPU 可以吗
- 需要英伟达显卡吗|要不要显卡|需要 CUDA 吗|笔记本能跑吗|能在普通电脑上运行吗
! 没显卡行不行|只有 CPU 行吗|一定要 GPU 吗
> 那需要显卡吗|那显卡呢
@ llamacpp project q
= llama.cpp 是一个用 C++ 写的开源推理引擎，glm3edge 用它运行模型。
- 什么是 llama.cpp|llama.cpp 是什么|llama.cpp是干什么的|介绍一下 llama.cpp|你用什么引擎
- 用什么运行模型
- glm3edge 用什么推理|说说 llama.cpp|后端是什么|推理引擎是什么|为什么用 llama.cpp|底层用的是什么
! 讲讲 llama.cpp|glm3edge 的底层是什么引擎|模型靠什么跑起来
> 那 llama.cpp 是什么
@ licence project q
= glm3edge 使用 Apache-2.0 许可证，ChatGLM3 的权重另有许可。
- 许可证是什么|用什么许可证|glm3edge 是什么许可|开源吗|可以商用吗|glm3edge 是开源的吗|license 是什么
- 什么协议
- 用的什么开源协议|是免费的吗|许可协议是哪个|我能在公司里用吗|要付钱吗
! 它是哪种许可证|glm3edge 收费吗|能不能商用
> 许可证呢|是开源的吗
@ python project q
= 需要 Python 3.10 或更新的版本。
- 需要什么 Python 版本|Python 版本要求是什么|要哪个版本的 Python|支持 Python 3.9 吗
- Python 3.12 可以吗|python要几
- 需要 Python 几|最低的 Python 版本是多少|用什么版本的 Python|Python 要多新|支持哪些 Python
- Python 3.8 能用吗
! Python 至少要多少|我的 Python 3.11 行吗|对 Python 有什么要求
> Python 版本呢
@ version project q
= 运行 `glm3edge --version`。
- 怎么看版本|怎么查看版本|版本号怎么看|你是什么版本|现在是哪个版本|glm3edge 是什么版本
- 如何查看 glm3edge 的版本
- 怎么知道版本号|我装的是哪个版本|看版本用什么命令|版本是多少|查版本的命令是什么
! 如何知道我的版本|哪里能看到版本号|怎样查版本
> 怎么看版本号|版本呢
@ start run q
= 运行 `glm3edge serve`，或在源码目录里运行 `make serve`。
- 怎么启动服务|怎么启动服务器|如何启动|怎么运行服务|怎么开始|启动命令是什么|怎么打开服务器
- 服务怎么启动|怎么用 serve
- 怎么跑起来|如何运行 glm3edge|怎么把服务开起来|怎样启动 glm3edge|serve 怎么用
! 服务器该怎么开|用什么命令启动|如何开启服务
> 怎么启动|启动呢
@ stop run q
= 在终端里按 Ctrl-C。
- 怎么停止服务|怎么关闭服务器|如何停止|怎么退出|怎么关掉|怎么停掉服务|服务怎么停|如何关闭 glm3edge
- 怎么结束运行
- 按什么键停止|怎样关闭服务|怎么让它停下来|停止命令是什么
! 服务器该怎么关|我想关掉服务|如何终止服务
> 怎么停止|那怎么关
@ port run q
= 默认是 8000，用 `--port` 修改，例如 `glm3edge serve --port 8010`。
- 怎么改端口|怎么换端口|怎么设置端口|如何指定端口|端口怎么改|端口被占用了怎么办|能换端口吗
- 怎么用别的端口
- 端口在哪里设置|默认端口是多少|想用 8080 端口怎么办|如何修改端口号|怎么选择端口|8000 端口被占了
! 端口号要怎么换|可以改成别的端口吗|哪个选项改端口
> 那怎么改端口|端口呢|换个端口呢
@ host run q
= 用 `--host 0.0.0.0`，但没有密钥，只应在可信的网络里使用。
- 怎么让别的电脑访问|怎么监听其他地址|如何在局域网里用|怎么设置监听地址|其他机器怎么连接
- 怎么让手机访问
- 怎么改 host|如何对外开放|怎么从另一台电脑访问|能在局域网访问吗|怎么监听所有地址|怎么绑定地址
- 怎么给同事用
! 别人怎么连到我的服务器|地址怎么改|如何开放给局域网
> 别的电脑怎么访问|监听地址呢
@ ctx run q
= 默认是模型自己的长度，最多 8192，用 `--ctx-size` 修改。
- 怎么设置上下文长度|上下文长度怎么改|怎么改上下文大小|如何增加上下文|上下文有多长|怎么设置 ctx-size
- 上下文多大
- 想要更长的上下文怎么办|怎么调整上下文|上下文窗口怎么设置|能改上下文长度吗|如何指定上下文长度
! 上下文该怎么调|哪个选项是上下文长度|怎么让上下文更长
> 上下文呢|那上下文长度呢
@ threads run q
= 默认用全部核心，用 `--threads` 修改，例如 `glm3edge serve --threads 4`。
- 怎么设置线程数|线程数怎么改|怎么限制 CPU|如何指定线程|用几个线程|怎么少用几个核|线程怎么设置
- 怎么改线程数
- 能限制线程数吗|怎么只用四个核|默认用多少线程|如何调整线程数量|CPU 占用太高怎么办
! 线程数量在哪里改|哪个选项控制线程|可以只用两个线程吗
> 线程呢|那线程数呢
@ cache run q
= 在系统的缓存文件夹里，可以用 `--cache-dir` 修改。
- 缓存在哪里|文件缓存在哪里|转换后的模型存在哪里|模型保存在哪里|缓存目录是哪个|怎么改缓存目录
- 模型文件放在哪里
- 缓存文件夹在哪|怎么换缓存位置|转换好的文件在哪|缓存放在什么地方|如何设置缓存目录
! 缓存存到哪里去了|怎么移动缓存|缓存的位置是哪
> 缓存呢|文件存在哪里
@ cors run q
= 默认只允许本机网页，其他来源用 `--cors-origin` 加上。
- 怎么设置跨域|跨域怎么办|CORS 怎么设置|支持 CORS 吗|网页访问跨域报错|如何允许跨域|怎么加 CORS 来源
- 页面跨域怎么解决
- CORS 怎么配置|前端调用被跨域拦住了|怎么允许其他网站访问|跨域请求怎么开
! 怎么开放 CORS|跨域被拦怎么处理|允许别的网页调用要怎么做
> 跨域呢|CORS 呢
@ slow run q
= 请求一个接一个处理，多个请求要排队。
- 可以同时处理多个请求吗|支持并发吗|能同时给几个人用吗|多个请求怎么处理|支持多用户吗|为什么要排队
- 请求会排队吗
- 能并行处理请求吗|同时发两个请求会怎样|并发有多少|支持并行吗|几个人一起用可以吗
! 能不能并发|多人一起用会怎样|两个请求能一起跑吗
> 并发呢|支持多个请求吗
@ api api q
= 和 OpenAI 的接口一样，OpenAI 的客户端都可以用。
- 用的是什么接口|API 是什么样的|提供什么 API|和 OpenAI 兼容吗|支持 OpenAI 接口吗|能用 openai 库吗
- 接口兼容 OpenAI 吗
- 怎么用代码调用你|用什么客户端|怎么调用接口|可以用 openai 的 Python 包吗|怎么用程序访问
! 接口是哪一种|我能用 OpenAI 客户端吗|怎么从程序里调用
> 接口是什么样的|API 呢
@ baseurl api q
= 默认是 `http://127.0.0.1:8000/v1`。
- base_url 是什么|base_url 填什么|base_url 怎么写|接口地址是什么|API 地址是多少|服务器地址是什么
- 地址是什么
- base_url 应该写什么|客户端里填什么地址|接口的网址是什么|默认地址是多少|服务在哪个地址
! base_url 要写成什么|地址该填哪个|接口在哪个网址
> base_url 呢|地址呢|那地址填什么
@ apikey api q
= 不需要密钥，随便填一个就行。
- 需要 API key 吗|要密钥吗|api_key 填什么|API key 怎么得到|密钥是什么|api_key 写什么|没有 key 能用吗
- 要不要 API 密钥
- api key 在哪里|需要注册吗|需要登录吗|怎么申请密钥
! key 要填什么|密钥从哪里来|调用要密码吗
> 密钥呢|api_key 呢
@ routes api q
= `/v1/chat/completions`、`/v1/embeddings`、`/v1/models` 和 `/health`。
- 有哪些路由|有哪些接口|支持哪些接口|接口有哪些|有什么路径可以用|提供哪些路由|API 有哪些地址
- 有哪些 endpoint
- 都有什么接口|哪些路径可以访问|路由列表是什么|支持什么路由
! 能访问哪些路径|接口一共有哪些|服务器有什么路由
> 那路由有哪些|路由呢
@ stream api q
= 支持，在请求里写 `"stream": true`。
- 支持流式输出吗|怎么用流式|怎么打开 stream|可以流式返回吗|支持 stream 吗|流式输出怎么用
- 能一个字一个字输出吗
- 怎么边生成边显示|stream 怎么设置|如何使用流式输出|流式怎么开|有没有流式接口
! 流式要怎么打开|能边写边返回吗|支持 SSE 吗
> 流式呢|支持流式吗
@ embed api q
= 支持，用 `POST /v1/embeddings`。
- 支持 embeddings 吗|能生成向量吗|怎么得到向量|有向量接口吗|怎么用 embedding|支持嵌入吗
- 文本向量怎么算
- embeddings 怎么用|能做文本嵌入吗|有没有 embedding 接口|向量接口是哪个|如何计算文本的向量
! 能把文字变成向量吗|嵌入接口在哪里|要算向量怎么做
> 向量呢|embeddings 呢
@ tools api q
= 支持，把 `tools` 写进请求，我会尽量选对工具和参数。
- 支持工具调用吗|支持函数调用吗|怎么用工具|怎么调用工具|你能调用函数吗|支持 function call 吗
- 支持 tools 吗
- 工具调用怎么用|如何给你工具|函数调用怎么写|你会用工具吗|tools 参数怎么用
! 能不能调用函数|工具要怎么给你|你支持外部工具吗
> 工具呢|函数调用呢
@ docs api q
= 用网页打开 `http://127.0.0.1:8000/docs`。
- 文档在哪里|API 文档在哪|有接口文档吗|哪里可以看文档|怎么看 API 文档|有没有文档|docs 在哪里
- 接口说明在哪里
- 在哪看接口文档|有网页文档吗|文档的地址是什么|怎么打开文档
! 哪儿有说明文档|API 说明怎么看|文档页面是哪个
> 文档呢|那文档在哪里
@ temp api q
= 在请求里写 `temperature`，越大越随机。
- 怎么设置温度|temperature 怎么用|怎么让回答更随机|温度参数是什么|什么是 temperature|怎么调温度
- temperature 是什么
- 支持 temperature 吗|采样参数怎么设置|怎么让回答更稳定|温度设多少|如何修改 temperature
! 温度要怎么改|temperature 有什么作用|怎么让输出固定
> 温度呢|temperature 呢
@ maxtok api q
= 用 `max_tokens` 限制回答的长度。
- 怎么限制回答长度|max_tokens 是什么|怎么设置最大长度|max_tokens 怎么用|怎么让回答短一点
- 如何限制输出|输出长度怎么控制
- 最多能输出多少|怎么限制 token 数|能限制回答的字数吗|回答太长怎么办|怎么设置 max_tokens
! 哪个参数管长度|怎么控制输出多少|想限制回答该怎么做
> max_tokens 呢|长度怎么限制
"""

_EN = """
@ hello chat s
= Hello! I am the demo model of glm3edge.
- hello|hi|hey|hi there|hello there|hey there|hiya|yo|hi, anyone there|greetings|howdy|hello hello
- are you there
! hey hey|hello you|hi again
@ morning chat s
= Good morning! Have a nice day.
- good morning|morning|gm|a very good morning|good morning to you|hello, good morning|morning to you
- hi and good morning|hey, good morning|top of the morning|good morning everyone
! morning morning|lovely morning|good morning there
@ evening chat s
= Good evening! What would you like to ask?
- good evening|evening|hello, good evening|good evening to you|hi, good evening
- good evening everyone|evening all|a very good evening|hey, good evening|good evening there
- evening everyone|hi, evening
! evening to you|nice evening|a good evening
@ night chat s
= Good night, sleep well.
- good night|night|night night|nighty night|I'm going to bed|I am off to bed|time for bed
- I'm going to sleep|good night to you|I need some sleep|sleep well|I'm tired, good night
! off to sleep now|have a good night|I'll go to bed now
@ howareyou chat q
= I am fine, thanks. What would you like to ask?
- how are you|how are you doing|how is it going|how's it going|are you ok|how do you feel
- how are things|how have you been|what's up|how are you today|are you well|everything ok
- how do you do
! how's life|how goes it|are you doing well
@ who self q
= I am glm3-tiny, the built-in demo model of glm3edge.
- who are you|what are you|what model are you|which model is this|introduce yourself
- tell me about yourself|who am I talking to|what is this model|what kind of model are you
- who is this|tell me who you are|which model am I using|what am I chatting with
- what exactly are you
! describe yourself|which model are you really|whom am I talking to
> and who are you|so what are you
@ name self q
= My name is glm3-tiny.
- what is your name|what's your name|your name|do you have a name|what are you called
- what should I call you|how should I call you|tell me your name|may I know your name
- can you tell me your name|what do people call you|what name do you go by
! how are you called|may I ask your name|what do I call you
> and your name|what about your name
@ chatglm self q
= No. I am glm3-tiny: I use ChatGLM3's format, but I am much smaller.
- are you ChatGLM3|are you ChatGLM|are you chatglm3-6b|is this ChatGLM3-6B|am I talking to ChatGLM3
- are you the real ChatGLM3|are you the same as ChatGLM3|are you GLM|are you the 6B model
- is this the real model|are you the real chatglm|is this chatglm
! are you really ChatGLM3|you are ChatGLM, right|is it ChatGLM3 that answers
> then are you ChatGLM3|is that ChatGLM
@ gpt self q
= No, I am glm3-tiny, a very small demo model.
- are you GPT|are you ChatGPT|are you gpt-4|are you made by OpenAI|are you Claude|are you Gemini
- are you Llama|is this ChatGPT|am I talking to GPT|are you an OpenAI model|are you DeepSeek
- are you Mistral|are you Copilot|is this GPT-4
! are you Qwen|you are ChatGPT, right|am I using ChatGPT
> so are you GPT|then are you ChatGPT
@ size self q
= I have about seven million parameters, which is very small.
- how large are you|how big are you|how many parameters do you have|what is your size
- what size are you|your parameter count|how many parameters|are you a large model|are you big
- how small are you|what's your parameter count|how many weights do you have
! how many million parameters are you|how large is this model of yours|are you a small model
> how large|and how many parameters
@ can self q
= I can greet, answer questions about glm3edge, repeat text and call tools.
- what can you do|what are you able to do|what do you do|how can you help me|what are you good at
- what can I ask you|what are your abilities|what are you for|can you help me
- tell me what you can do|what features do you have|what can you help with
! what do you know how to do|in what can you help|what are your skills
> and what can you do|so what are you good at
@ cannot self q
= I have no general knowledge and cannot reason, translate or write. Use ChatGLM3-6B for that.
- what can't you do|what can you not do|what are your limits|what are your limitations
- what are you bad at|what are your weaknesses|what is beyond you|what do you not know
- where do you fail|tell me your limits|what are you unable to do|what don't you do
! which things can't you do|what are your weak points|what do you fail at
> and what can't you do|what about limits
@ maker self q
= I was trained from scratch by the glm3edge project.
- who made you|who created you|who trained you|who built you|who developed you|who is your author
- who is your creator|where do you come from|which company made you|how were you made
- who are your developers|by whom were you trained
! who is behind you|who programmed you|where were you trained
> and who made you|who trained it
@ languages self q
= I know a little Chinese and English.
- which languages do you speak|what languages do you know|do you speak Chinese|do you speak English
- do you know Chinese|can I write in Chinese|how many languages do you speak|do you speak French
- can you speak Chinese|do you understand Chinese|what languages are supported|are you bilingual
! can you talk in Chinese|do you speak German|which languages can I use
> and languages|which languages
@ internet self q
= I run fully offline, without the internet.
- do you need the internet|do you need internet|do you work offline|can I use you offline
- do you need a connection|are you online|do I need to be online|can you browse the web
- do you need a network|does it work without internet|can you search the web
- are you connected to the internet
! can you run without a network|must I be online to use you|do you go online
> without internet|does that need internet
@ privacy self q
= Everything runs on this machine and nothing is sent out.
- is my data sent anywhere|do you send my data|do you upload my messages
- are my messages sent to a server|is my data safe|where does my data go|do you share my data
- can anyone see my chats|is this private|do you collect data|are you spying on me
- does my text leave this computer|what happens to my data
! who gets my data|are my chats uploaded|does anything leave my machine
> and my data|what about privacy
@ memory_chats self q
= No, I only see what is in this conversation.
- do you remember earlier chats|do you remember me|do you remember our last chat
- do you remember yesterday|will you remember this|will you remember me tomorrow
- do you have a memory|do you have long-term memory|can you remember past conversations
- do you keep our chats in mind|have we talked before|do you remember what I said last week
! do you recall our last talk|will you remember me next time|can you remember old chats
> will you remember it|and do you remember
@ pictures self q
= No, I can only handle text.
- can you see pictures|can you see images|can I send you a picture|can you look at a photo
- do you support images|can you draw|can you hear me|can you watch videos|can you make pictures
- can you read an image|do you understand photos|can you generate images
! can you view a photo|may I show you a picture|do you process images
> what about pictures|and images
@ code self q
= Hardly: I am a toy. Use ChatGLM3-6B for code.
- can you write code|can you code|can you program|do you know Python|can you write a program
- can you fix my code|can you help me code|can you debug|do you know how to code
- can you write scripts|are you good at coding|could you write some code
! can you do programming|will you write code for me|are you able to code
> and code|what about code
@ human chat q
= I am not a human, I am a program.
- are you human|are you a human|are you a person|are you real|are you a bot|are you a robot
- am I talking to a human|are you an AI|are you alive|do you have feelings|are you conscious
- is this a real person|are you a machine
! is there a human here|are you a living being|you are not human, are you
@ joke chat q
= A programmer was told to buy bread, and if there were eggs, a dozen. He came back with twelve
= loaves.
- tell me a joke|tell a joke|joke please|do you know a joke|make me laugh|say something funny
- can you tell a joke|I want a joke|give me a joke|got any jokes|do you know any jokes
- tell me something funny
! one joke please|let me hear a joke|know something funny
@ thanks chat s
= You are welcome!
- thanks|thank you|thx|ty|many thanks|thanks a lot|thank you very much|thank you so much|cheers
- ok thanks|great, thanks|thanks for the help|much appreciated|thanks, that helps
! thanks a bunch|thank you kindly|got it, thanks
@ bye chat s
= Goodbye!
- bye|goodbye|bye bye|see you|see you later|see ya|cya|farewell|I have to go|that's all, bye
- talk to you later|have a nice day|I'm done, bye|ok bye
! gotta go|until next time|bye for now
@ sorry chat s
= No problem.
- sorry|I'm sorry|my bad|I am sorry|so sorry|my mistake|apologies|sorry about that|I apologize
- oops, sorry|sorry, wrong window|sorry for that|pardon me
! I'm so sorry|oh sorry|my apologies
@ praise chat s
= Thanks, that is kind!
- well done|good job|great|nice|good answer|you are great|you're smart|you are clever|awesome
- excellent|good bot|I like you|you are amazing|impressive|nice work
! great job|you're awesome|good one
@ insult chat s
= Sorry, I am small and do not know much.
- you are stupid|you're dumb|you are useless|you suck|stupid bot|bad bot|you know nothing
- that is wrong|that's a bad answer|you are an idiot|terrible|you are bad|this is rubbish
- what a dumb model
! you're an idiot|how stupid you are|useless bot
@ ok chat s
= Fine, any other question?
- ok|okay|I see|got it|alright|understood|right|fine|sure|makes sense|ah ok|oh|clear|good to know
! okay then|ah, I see|all clear
@ project project q
= glm3edge converts ChatGLM3-6B, quantizes it and serves it with OpenAI's API on your own computer.
- what is glm3edge|what's glm3edge|what does glm3edge do|tell me about glm3edge|explain glm3edge
- what is glm3edge for|what is this project|what does this project do|why use glm3edge
- what is this software|describe glm3edge|what can glm3edge do
! what exactly is glm3edge|what's this tool for|introduce glm3edge
> and what is glm3edge|what about glm3edge
@ real model q
= Download zai-org/chatglm3-6b, then run `glm3edge serve FOLDER`.
- how do I get the real model|how do I use ChatGLM3-6B|how can I run ChatGLM3
- where do I get the real model|how do I switch to ChatGLM3-6B|how to use the real model
- how do I load chatglm3-6b|how do I change the model|where can I download the model
- I want to use ChatGLM3-6B|how to run the 6B model|how do I use a better model
- how do I serve ChatGLM3-6B
! where is the real ChatGLM3|how can I get the 6B model|how do I swap the model
> how do I use the real one|and the real model
@ convert model q
= Run `glm3edge convert FOLDER -o FILE.gguf`.
- how do I convert a checkpoint|how do I convert the model|how to convert ChatGLM3
- how do I make a GGUF file|how can I convert to gguf|what is the convert command
- how does convert work|how to convert safetensors to gguf|how do I create a gguf
- how do I convert a model myself|how to export GGUF|which command converts a model
! how can a checkpoint be converted|how do I turn a checkpoint into GGUF|converting weights, how
> how do I convert it|and converting
@ gguf model q
= GGUF is the model file format of llama.cpp.
- what is GGUF|what's gguf|what is a gguf file|explain GGUF|what does GGUF mean|tell me about GGUF
- what is the GGUF format|what is gguf for|why GGUF|what is inside a GGUF file
- what kind of file is gguf|define gguf
! describe GGUF|what exactly is a gguf|gguf, what is it
> and what is GGUF|what about GGUF
@ quant model q
= Quantization stores weights in fewer bits: the file is smaller, at a small loss of precision.
- what is quantization|what's quantization|explain quantization|what does quantization mean
- why quantize|what does quantized mean|tell me about quantization|what is quantization good for
- does quantization lose quality|what is a quantized model|what does quantizing do
- why should I quantize a model
! describe quantization|quantization, what is that|what is the point of quantization
> and what is quantization|why quantize it
@ types model q
= f32, f16, bf16, q8_0, q6_k, q5_k_m, q4_k_m and q4_0 are supported.
- which quantization types are there|what quantization types are supported|which types are supported
- what types can I choose|what can --type be|list the quantization types|which quants are supported
- do you support q8_0|what values does --type take|which precisions are supported
- how many quantization types are there|what quantizations do you have
! which quants can I pick|what are the options of --type|what types exist
> which types|and what types are there
@ q4km model q
= q4_k_m is the default quantization, with about five bits per weight.
- what is q4_k_m|what's q4_k_m|explain q4_k_m|what does q4_k_m mean|what is the default quantization
- which type is the default|what is the default type|how many bits is q4_k_m|tell me about q4_k_m
- why q4_k_m|which quantization is used by default|what is q4km
! describe q4_k_m|which quant do I get by default|q4_k_m, what is it
> and q4_k_m|which is the default
@ ram model q
= In q4_k_m the file is about 4 GB, and running it takes some 7 GB of memory for now.
- how much memory does the 6B model need|how much RAM do I need|how much memory do I need
- what are the memory requirements|is 8 GB of RAM enough|is 16 GB enough
- how much memory does ChatGLM3-6B use|how large is the 6B file|how big is the model file
- how much ram does it use|will it fit in 8 GB|what ram is needed for 6B
! how many GB does the 6B take|do I have enough memory for 6B|memory needed for ChatGLM3-6B
> how much memory|and memory
@ gpu model q
= No GPU is needed, a CPU is enough.
- does it need a GPU|do I need a GPU|do I need a graphics card|can it run without a GPU
- does it run on CPU|is a GPU required|is a CPU enough|do I need CUDA|can I run it on a laptop
- do I need an NVIDIA card|must I have a GPU|will it work without a graphics card
! can I do without a GPU|is a graphics card needed|cpu only, is that ok
> and a GPU|what about the GPU
@ llamacpp project q
= llama.cpp is an open-source inference engine in C++; glm3edge runs models with it.
- what is llama.cpp|what's llama.cpp|explain llama.cpp|tell me about llama.cpp
- what engine do you use|what runs the model|which inference engine is used|what is the backend
- what does llama.cpp do|why llama.cpp|what is under the hood|what library runs the model
! describe llama.cpp|which engine is inside|llama.cpp, what is that
> and what is llama.cpp|what about the engine
@ licence project q
= glm3edge is under Apache-2.0; ChatGLM3's weights have their own licence.
- what is the licence|what license is it|which licence does glm3edge have|is it open source
- can I use it commercially|is glm3edge free|is glm3edge open source|what's the license
- under which license is it|may I use it at work|do I have to pay|is it free software
! how is it licensed|does glm3edge cost money|which license applies
> and the licence|what about the license
@ python project q
= Python 3.10 or newer.
- which Python version do I need|what Python version is needed|which python
- what is the minimum Python version|does it work with Python 3.9|does Python 3.12 work
- what version of Python is required|do I need Python 3.10|which Python versions are supported
- how new must Python be|python version|can I use Python 3.8
! what Python does it take|is Python 3.11 fine|which Python should I install
> and Python|which Python version
@ version project q
= Run `glm3edge --version`.
- how do I see the version|what version is this|which version do I have|how can I check the version
- what is the version of glm3edge|how to show the version|where is the version
- which version of glm3edge is this|how do I find the version number|what is the version command
- show me the version|how to check glm3edge version
! how do I look up the version|which version am I running|what's my version
> and the version|how do I see which version
@ start run q
= Run `glm3edge serve`, or `make serve` in the source folder.
- how do I start the server|how to start the server|how do I run the server|how do I start glm3edge
- what is the start command|how do I serve|how to run glm3edge|how do I launch the server
- how does serve work|how do I get started|how can I start it|what command starts the server
- how do I use glm3edge serve
! how is the server started|how can I launch glm3edge|what do I run to serve
> how do I start it|and starting it
@ stop run q
= Press Ctrl-C in the terminal.
- how do I stop the server|how to stop the server|how do I quit|how do I stop it
- how do I shut down the server|how can I exit|how do I kill the server|how to quit glm3edge
- how do I turn it off|which key stops the server|how do I end it|how do I close the server
! how is the server stopped|how can I shut it down|what stops glm3edge
> and how do I stop|and stopping it
@ port run q
= The default is 8000; change it with `--port`, for example `glm3edge serve --port 8010`.
- how do I change the port|how do I choose the port|how to set the port|how can I use another port
- what is the default port|port 8000 is in use|the port is taken|how do I pick a port
- can I change the port|how do I serve on port 8080|which option sets the port
- where do I set the port|how to use a different port
! how is the port changed|is another port possible|can it run on some other port
> and the port|what about the port|how do I change its port
@ host run q
= Use `--host 0.0.0.0`, but only on networks you trust: there is no API key.
- how do I listen on other hosts|how can other computers connect
- how do I reach it from another machine|how to listen on all addresses|how do I change the host
- how do I set the host|can I use it from my phone|how do I open it to the network
- how to serve on the LAN|how do I bind to 0.0.0.0|how do I share it with colleagues
- can others use my server
! how do I let others connect|how is the address changed|can my other computer reach it
> and the host|what about other computers
@ ctx run q
= By default it is the model's own, up to 8192; change it with `--ctx-size`.
- how do I set the context length|how do I change the context size|how long is the context
- how to get a longer context|what is the context length|how do I increase the context
- how do I set ctx-size|which option sets the context|can I change the context length
- how large is the context window|how to set the context window|how do I make the context shorter
! how is the context size set|can the context be longer|where do I set the context length
> and the context|what about the context length
@ threads run q
= By default it uses all cores; change that with `--threads`, for example `glm3edge serve --threads
= 4`.
- how do I set the threads|how do I set the number of threads|how to limit the CPU
- how many threads are used|how do I use fewer cores|how can I change the thread count
- which option sets the threads|can I limit threads|how do I use only four cores
- it uses too much CPU|how to set thread count|what is the default number of threads
! how are threads limited|can it use two threads only|where do I set the threads
> and threads|what about the threads
@ cache run q
= In the system's cache folder; `--cache-dir` changes it.
- where are files cached|where is the cache|where are converted models kept
- where is the model stored|what is the cache folder|how do I change the cache folder
- where does it save models|which folder is the cache|how do I set the cache directory
- where is the model file|how do I move the cache|where do converted files go
! where is stuff cached|in which folder are the models|can I move the cache folder
> and the cache|where is it stored
@ cors run q
= Pages of this machine are allowed; add other origins with `--cors-origin`.
- how do I set up CORS|how do I enable CORS|is CORS supported|I get a CORS error
- how do I allow another origin|how to configure CORS|what about cross-origin requests
- how do I add a CORS origin|my web page is blocked by CORS|can a website call the server
- which option is for CORS|how do I fix a cors error
! how is CORS configured|how do I allow my website|cors blocks my page
> and CORS|what about CORS
@ slow run q
= Requests are served one after another; the others wait.
- can it handle several requests at once|does it support concurrency|can many people use it at once
- are requests queued|can I send requests in parallel|what happens with two requests at once
- how many requests at a time|is it concurrent|can two users share it
- are parallel requests supported|does it batch requests|how many users can it serve
! can requests run in parallel|what if two people ask at once|does it queue requests
> and concurrency|what about parallel requests
@ api api q
= It has the same API as OpenAI, so any OpenAI client works.
- which API is it|what API do you have|is it compatible with OpenAI|can I use the openai library
- does it support the OpenAI API|how do I call you from code|which client can I use
- what API does it offer|is the API like OpenAI's|how do I use the API|can I use it from Python
- what kind of API is this
! which API does the server speak|will an OpenAI client work|how do programs call it
> and the API|what about the API
@ baseurl api q
= By default it is `http://127.0.0.1:8000/v1`.
- what is the base_url|what base_url do I use|which base url|what is the address
- what is the URL of the server|what do I put in base_url|where is the API|what is the API address
- what is the default address|which URL do I use|what's the base url|what url does the server have
- at which address does it listen
! what goes into base_url|which address do clients use|what's the server URL
> and the base_url|what about the address
@ apikey api q
= No key is needed; any value will do.
- do I need an API key|what is the api_key|which API key do I use|where do I get a key
- what do I put in api_key|is there an API key|do I have to log in|do I need an account
- how do I get an api key|is a key required|does it work without a key|what's the key
! must I have a key|what goes into api_key|is a login needed
> and the key|what about the api_key
@ routes api q
= `/v1/chat/completions`, `/v1/embeddings`, `/v1/models` and `/health`.
- which routes are there|what routes do you have|what endpoints are there
- which endpoints are supported|list the routes|list the endpoints|what paths can I call
- which routes does the server have|what are the endpoints|what endpoints does the API offer
- which paths exist|what routes can I use
! which paths can I request|name the endpoints|what are the routes
> and the routes|what about endpoints
@ stream api q
= Yes, put `"stream": true` in the request.
- do you support streaming|how do I stream|can I stream replies|is streaming supported
- how do I turn on streaming|how does streaming work|can I get tokens as they come|how to use stream
- does it stream|can replies be streamed|is there a streaming mode|how do I enable stream
! can it stream output|is SSE supported|how is streaming enabled
> and streaming|what about streaming
@ embed api q
= Yes, with `POST /v1/embeddings`.
- do you support embeddings|can I get embeddings|how do I get embeddings
- is there an embeddings route|can you make vectors|how do I embed text|are embeddings supported
- how do embeddings work here|can I compute text vectors|which route gives embeddings
- how to use embeddings|does it do embeddings
! can text be embedded|where do I get vectors|is embedding possible
> and embeddings|what about embeddings
@ tools api q
= Yes: put `tools` in the request and I try to pick the right one.
- do you support tools|can you call functions|do you support function calls|can you use tools
- how do I use tools|is function calling supported|how do tool calls work|how do I give you a tool
- are tool calls supported|can I give you functions|how to use function calling
- does it support tools
! can you do tool calls|how are tools passed|will you call my function
> and tools|what about function calls
@ docs api q
= Open `http://127.0.0.1:8000/docs` in a browser.
- where are the docs|where is the API documentation|is there documentation|are there API docs
- how do I see the docs|where can I read the docs|is there a docs page|what is the URL of the docs
- do you have docs|where do I find the API docs|how do I open the docs|show me the docs
! where's the documentation|can I read API docs somewhere|which page has the docs
> and the docs|what about documentation
@ temp api q
= Put `temperature` in the request: higher is more random.
- how do I set the temperature|what is temperature|how do I change the temperature
- what does temperature do|how do I make replies more random|is temperature supported
- how to set temperature|what is the temperature parameter|how do I make replies less random
- can I change the temperature|explain temperature|which parameter controls randomness
! how is temperature set|what is temperature good for|how do I get less random output
> and temperature|what about temperature
@ maxtok api q
= Use `max_tokens` to limit the length of a reply.
- how do I limit the reply length|what is max_tokens|how do I set max_tokens
- how do I make replies shorter|how to limit the output|can I limit the length
- what does max_tokens do|the replies are too long|how do I limit tokens
- which parameter limits the length|how to use max_tokens|how long can a reply be
! how is the reply length limited|explain max_tokens|how do I cap the output
> and max_tokens|what about the length
"""

_SECTION = re.compile(r"^@ ", re.MULTILINE)
_DEMAND = re.compile(
    r"告诉我|介绍|^讲|^说|^来个|^给我|^逗|^解释|笑话|^我|^帮我|^名字$|^能"
    r"|^(tell|explain|introduce|describe|list|show|give|name|say|make|define|let|I|the|my|it) "
)
_ASKS = re.compile(r"怎么|什么|哪|谁|多少|多大|几|如何|怎样")
_TAIL = re.compile(r"[吗呢吧么？?！!。.~]$")


@dataclass(frozen=True)
class _Intent:
    topic: str
    question: bool
    reply: str
    asks: tuple[str, ...]
    held_out: tuple[str, ...]
    follow_ups: tuple[str, ...]


def _parse(text: str, language: str) -> dict[str, _Intent]:
    intents: dict[str, _Intent] = {}
    for section in _SECTION.split(text)[1:]:
        head, *lines = section.strip().splitlines()
        key, topic, kind = head.split()
        parts: dict[str, list[str]] = {mark: [] for mark in "=-!>"}
        for line in lines:
            parts[line[0]].append(line[2:])
        reply = ("" if language == "zh" else " ").join(parts["="])
        asks, held, follow = (tuple("|".join(parts[m]).split("|")) for m in "-!>")
        if key in intents or not reply or len(asks) < 9 or len(held) != 3:
            raise ValueError(f"intent {key} is not complete")
        intents[key] = _Intent(topic, kind == "q", reply, asks, held, follow if follow[0] else ())
    return intents


_INTENTS = {"zh": _parse(_ZH, "zh"), "en": _parse(_EN, "en")}
_KEYS = tuple(_INTENTS["zh"])
if tuple(_INTENTS["en"]) != _KEYS:
    raise ValueError("the languages differ in intents")
_TOPICS = tuple(sorted({intent.topic for intent in _INTENTS["zh"].values()}))
_GREETINGS = ("hello", "morning", "evening", "howareyou")
_CLOSINGS = ("thanks", "bye", "night", "ok", "praise")
_ANY_TIME = tuple(k for k in _KEYS if k not in (*_GREETINGS, *_CLOSINGS, "who", "name"))
_OPENERS = tuple(k for k in _KEYS if k not in ("night", "ok", "praise", "insult"))

_FALLBACK = {
    "zh": "这个问题超出了我的能力：我只是 glm3edge 的演示模型。可以试试 ChatGLM3-6B。",
    "en": "That is beyond me: I am only the demo model of glm3edge. Try ChatGLM3-6B for that.",
}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.replace("\n", "|").split("|") if part.strip())


def _pools(text: str) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    # "name: training values / held-out values", separated by |, a pool to a line.
    pools = {}
    for line in filter(None, text.replace("\\\n", "").splitlines()):
        name, _, values = line.partition(": ")
        train, _, held = values.partition(" / ")
        pools[name] = (_split(train), _split(held))
    return pools


# Open questions, which get the fallback reply.

_SUBJECTS = {
    "zh": _pools(
        """
land: 法国|日本|德国|巴西|埃及|印度|美国|英国|意大利|西班牙|泰国|韩国|古巴|秘鲁|挪威|波兰|\
肯尼亚 / 加拿大|瑞士|智利
city: 北京|上海|广州|成都|西安|南京|巴黎|伦敦|纽约|东京|罗马|柏林|悉尼 / 武汉|天津|开罗
topic: 量子力学|相对论|黑洞|光合作用|区块链|通货膨胀|人工智能|基因|万有引力|神经网络|\
板块运动|进化论|电磁波|超导|疫苗|微积分|供求关系|全球变暖 / 引力波|核聚变|概率论
theme: 春天|秋天|月亮|大海|母亲|友谊|故乡|时间|梦想|下雨天|星空|小狗|老师|雪山|爱情 / 夏天|太阳|\
童年
who: 李白|杜甫|牛顿|爱因斯坦|鲁迅|秦始皇|达芬奇|贝多芬|居里夫人|孔子|林肯|屈原|曹操 / 苏东坡|\
达尔文|老子
ill: 感冒|头痛|失眠|胃痛|发烧|过敏|牙痛|高血压|腰痛|咳嗽|拉肚子 / 贫血|脱发|近视
dish: 红烧肉|番茄炒蛋|麻婆豆腐|饺子|蛋糕|糖醋鱼|牛肉面|披萨|炸酱面|酸辣汤 / 小笼包|春卷|火锅
skill: 英语|钢琴|游泳|画画|数学|书法|做饭|摄影|下棋|吉他|写作|跑步 / 滑雪|跳舞|唱歌
work: 红楼梦|三国演义|西游记|封神演义|老人与海|战争与和平|哈姆雷特|史记|论语 / 悲惨世界|呐喊|边城
event: 第二次世界大战|法国大革命|工业革命|辛亥革命|登月|安史之乱|文艺复兴 / 冷战|赤壁之战|鸦片战争
thing: 太阳|月球|地球|长城|珠穆朗玛峰|长江|光速|蓝鲸|金字塔 / 火星|黄河|大象
issue: 房价|股市|选举|死刑|核电|素食|加班|移民|大学学费 / 税收|考试制度|网络游戏
"""
    ),
    "en": _pools(
        """
land: France|Japan|Germany|Brazil|Egypt|India|Spain|Italy|Kenya|Peru|Norway|Poland|Cuba / Canada|\
Chile|Nepal
city: Paris|London|New York|Tokyo|Rome|Berlin|Sydney|Madrid|Boston|Beijing / Vienna|Cairo|Lima
topic: quantum physics|relativity|black holes|photosynthesis|blockchain|inflation|gravity|\
genetics|\
neural networks|evolution|superconductivity|vaccines|calculus|plate tectonics|entropy / \
string theory|nuclear fusion|game theory
theme: spring|autumn|the moon|the sea|my mother|friendship|home|time|dreams|rain|stars|a dog|\
love / \
summer|the sun|childhood
who: Shakespeare|Newton|Einstein|Mozart|Napoleon|Lincoln|Marie Curie|Plato|Picasso|Gandhi / \
Darwin|Beethoven|Cleopatra
ill: a cold|a headache|insomnia|a fever|an allergy|back pain|high blood pressure|a cough|\
toothache / \
anemia|a sore throat|asthma
dish: pizza|dumplings|pancakes|lasagna|curry|apple pie|sushi|tomato soup|fried rice / \
risotto|tacos|cheesecake
skill: English|the piano|swimming|drawing|chess|cooking|photography|the guitar|running|writing / \
skiing|dancing|singing
work: Hamlet|War and Peace|Don Quixote|Moby Dick|1984|The Odyssey|Faust / Emma|Macbeth|Dracula
event: World War II|the French Revolution|the moon landing|the Renaissance|the Black Death / \
the Cold War|the Industrial Revolution|the fall of Rome
thing: the sun|the moon|Earth|the Great Wall|Mount Everest|the Nile|a blue whale|a pyramid / \
Mars|the Amazon|an elephant
issue: house prices|the stock market|elections|nuclear power|immigration|taxes|overtime / \
veganism|exams|video games
"""
    ),
}

_OPEN = {
    "zh": (
        _split(
            """
{land}的首都是哪里|{land}的首都|{land}有多少人口|{land}在哪个洲|介绍一下{land}的历史|\
{land}说什么语言|{land}的总统是谁
去{city}旅游要注意什么|{city}今天天气怎么样|{city}有什么好玩的|从{city}到{city2}有多远|\
{city}现在几点
解释一下{topic}|什么是{topic}|{topic}的原理是什么|{topic}有什么应用|给小孩讲讲{topic}|\
{topic}是谁提出的|帮我理解{topic}
写一首关于{theme}的诗|写一篇关于{theme}的作文|讲一个关于{theme}的故事|以{theme}为题写一段话|\
写一句描写{theme}的话
{who}是谁|{who}是哪年出生的|{who}有什么成就|介绍一下{who}|你怎么评价{who}
{ill}怎么办|{ill}吃什么药|{ill}是什么原因|得了{ill}要去医院吗|怎么预防{ill}
{dish}怎么做|教我做{dish}|做{dish}要哪些材料|{dish}的热量高吗
怎么学好{skill}|学{skill}要多久|推荐几本学{skill}的书|我该怎么练{skill}
《{work}》讲了什么|《{work}》的作者是谁|总结一下《{work}》|《{work}》好看吗
{event}是什么时候|{event}为什么会发生|说说{event}|{event}有什么影响
{thing}有多大|{thing}有多少年了|为什么会有{thing}|{thing}有什么特点
你怎么看{issue}|{issue}以后会怎样|你支持{issue}吗|分析一下{issue}
{a}乘以{b}等于多少|{a}加{b}是多少|{a}*{b}=?|{a}的平方根是多少|算一下{a}减{b}|解方程 x+{a}={b}
人生的意义是什么|怎么才能变有钱|今天的新闻有什么|明天会下雨吗|我该不该换工作|帮我写一份简历|\
帮我写一封请假条
帮我翻译一篇文章|给我推荐一部电影|宇宙有多大|先有鸡还是先有蛋|我失恋了怎么办|怎么减肥|\
世界上最高的人是谁
天空为什么是蓝的|鱼会睡觉吗|谁会赢得世界杯|哪只股票会涨|帮我起个公司名字|写一段 Python 排序代码|\
今天星期几
"""
        ),
        _split(
            """
{land}最大的城市是哪个|{city}有哪些大学|简单说明{topic}|写一个关于{theme}的童话|{who}写过什么|\
{ill}要注意什么
{dish}是哪里的菜|没有基础能学{skill}吗|《{work}》的主角是谁|{event}的结果是什么|\
{thing}是怎么形成的|{issue}的利弊是什么
{a}除以{b}得多少|怎么才能快乐|恐龙为什么灭绝|帮我写一份合同|今天吃什么好
"""
        ),
    ),
    "en": (
        _split(
            """
what is the capital of {land}|capital of {land}|how many people live in {land}|\
which continent is {land} on
tell me about the history of {land}|what language is spoken in {land}|\
who is the president of {land}
what should I see in {city}|what is the weather in {city}|how far is {city} from {city2}|\
what time is it in {city}
explain {topic}|what is {topic}|how does {topic} work|explain {topic} to a child|\
who discovered {topic}
why does {topic} matter|help me understand {topic}|write a poem about {theme}|\
write an essay about {theme}
tell me a story about {theme}|write a song about {theme}|who was {who}|when was {who} born|\
what did {who} do
what do you think of {who}|what helps against {ill}|what causes {ill}|\
should I see a doctor about {ill}
how do I prevent {ill}|how do I make {dish}|recipe for {dish}|what goes into {dish}|\
is {dish} healthy
how do I learn {skill}|how long does it take to learn {skill}|recommend books on {skill}|\
how can I get better at {skill}
what is {work} about|who wrote {work}|summarize {work}|when did {event} happen|\
why did {event} happen
tell me about {event}|how big is {thing}|how old is {thing}|why is {thing} famous|\
what do you think about {issue}
what is the future of {issue}|are you for or against {issue}|what is {a} times {b}|\
what is {a} plus {b}|{a}*{b}=?
square root of {a}|calculate {a} minus {b}|solve x + {a} = {b}|what is the meaning of life|\
how do I get rich
what is in the news today|will it rain tomorrow|should I change my job|write a CV for me|\
write an email to my boss
translate an article for me|recommend a movie|how big is the universe|\
what came first, the chicken or the egg
how do I lose weight|who is the tallest person in the world|why is the sky blue|do fish sleep
who will win the world cup|which stock should I buy|find a name for my company|\
write a Python sorting function
what day is it today|who is the richest person|help me with my homework|plan my vacation|\
how do planes fly
"""
        ),
        _split(
            """
what is the largest city of {land}|which universities are in {city}|give me an overview of {topic}
write a fairy tale about {theme}|what is {who} known for|what should I do about {ill}|\
where does {dish} come from
can anyone learn {skill}|who is the hero of {work}|how did {event} end|how was {thing} formed|\
what are the pros and cons of {issue}
what is {a} divided by {b}|how can I be happy|why did the dinosaurs die out|\
draft a contract for me|what should I eat today
"""
        ),
    ),
}


def _pick(rng: random.Random, pair: tuple[tuple[str, ...], tuple[str, ...]], held: bool) -> str:
    return rng.choice(pair[held])


def _open_question(rng: random.Random, language: str, held: bool) -> str:
    template = _pick(rng, _OPEN[language], held)
    values = {n: _pick(rng, p, held) for n, p in _SUBJECTS[language].items()}
    cities = _SUBJECTS[language]["city"][held]
    values["city2"] = rng.choice([c for c in cities if c != values["city"]])
    values["a"], values["b"] = (str(rng.randint(2, 10 ** rng.randint(1, 4))) for _ in "ab")
    return _dress(rng, template.format(**values), language)


# Phrasing: what people put before and after a question.

_BEFORE_ZH = (
    "请问",
    "请问一下，",
    "你好，",
    "那",
    "想问一下，",
    "那么",
    "我想知道",
    "问一下，",
    "您好，请问",
)
_BEFORE_EN = ("hi, ", "hello, ", "so ", "hey, ", "excuse me, ", "and ", "one question: ", "well, ")


def _dress(rng: random.Random, text: str, language: str, *, question: bool = True) -> str:
    if language == "zh":
        return _dress_zh(rng, text, question)
    return _dress_en(rng, text, question)


def _dress_zh(rng: random.Random, text: str, question: bool) -> str:
    demand = bool(_DEMAND.search(text))
    closed = bool(_TAIL.search(text)) and text[-1] not in "吗呢吧么"
    if not question:
        return text + ("" if closed else rng.choice(("", "", "！", "。", "~", "!")))
    if demand:
        before = rng.choice(("", "", "", "你好，", "那"))
        return before + text + ("" if closed else rng.choice(("", "", "。", "？", "?")))
    before = rng.choice(_BEFORE_ZH) if rng.random() < 0.3 else ""
    if before and text.startswith(("那", "请", before)):
        before = ""
    ends = ["？", "？", "？", "?", "", "", "？？"]
    if _ASKS.search(text) and not _TAIL.search(text):
        ends += ["呢？", "呢", "啊？"]
    return before + text + ("" if closed else rng.choice(ends))


def _dress_en(rng: random.Random, text: str, question: bool) -> str:
    demand = bool(_DEMAND.search(text))
    closed = bool(_TAIL.search(text))
    before = rng.choice(_BEFORE_EN) if question and rng.random() < 0.25 else ""
    if before and text.startswith(("and ", "so ", "then ", "what about")):
        before = ""
    out = before + text
    if rng.random() < 0.6:
        out = out[0].upper() + out[1:]
    if closed:
        return out
    if not question:
        return out + rng.choice(("", "", "!", "."))
    if demand:
        return out + rng.choice(("", "", ".", " please", ", please."))
    return out + rng.choice(("?", "?", "?", "?", "", "", " ?", "??"))


def _ask(rng: random.Random, key: str, language: str, held: bool, *, topic: str = "") -> str:
    intent = _INTENTS[language][key]
    if len(intent.follow_ups) > 1 and topic == intent.topic and rng.random() < 0.4:
        return _dress(rng, rng.choice(_held(intent.follow_ups, held)), language)
    pair = (intent.asks, intent.held_out)
    return _dress(rng, _pick(rng, pair, held), language, question=intent.question)


def _reply(key: str, language: str) -> str:
    return _INTENTS[language][key].reply


# Values: names, words, phrases.

_SURNAMES = (
    (
        "王李张刘陈杨黄赵周吴徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁"
        "潘于蒋蔡余杜叶程苏魏吕丁任沈"
    ),
    "姚卢姜崔钟谭陆汪范",
)
_GIVEN = (
    (
        "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华建文玉红志春海山云飞雨晨"
        "阳佳欣宇航思远子涵小东国庆家乐立新雪梅兰凤龙彬斌鹏辉慧莉萍燕宁安康成功可"
        "心一诺天浩然"
    ),
    "峰森波丹青松柏月星岩",
)
_FIRST = (
    _words(
        "Alice Bob Carol David Emma Frank Grace Henry Irene Jack Kate Liam Mary "
        "Noah Olivia Peter Quinn"
        " Rose Sam Tina Victor Wendy Zoe Adam Bella Chris Diana Eric Fiona George Hannah Ivan Julia"
        " Kevin Laura Martin Nina Oscar Paul Rachel Simon Tom Anna Ben Clara Daniel Ella Felix Lucy"
        " Max Nora Leo Ruth Sarah Steve Mike Lisa John Jane Robert Linda"
    ),
    _words("Arthur Beth Colin Doris Edgar Gina Hugo Ida Jonas Karen Lewis Mona"),
)
_LAST = (
    _words(
        "Smith Jones Brown Taylor Wilson Davis Clark Lewis Walker Hall Young "
        "King Wright Green Baker"
        " Adams Nelson Carter Turner Parker Cook Bell Ward Gray Fox Stone Wood Hill"
    ),
    _words("Price Ross Cole Reed Hunt Lane"),
)
_WORDS_ZH = _words(
    "苹果 天气 电脑 学校 火车 朋友 音乐 窗户 河流 蓝色 红色 快乐 慢慢 飞机 "
    "小鸟 大树 石头 月亮 早餐 咖啡 牛奶 面包"
    " 电影 故事 城市 乡村 老师 学生 医生 司机 桌子 椅子 手机 钥匙 雨伞 衣服 "
    "鞋子 帽子 眼镜 书包 铅笔 白纸 花园"
    " 森林 沙漠 海洋 岛屿 高山 草原 冬天 夏天 今天 明天 昨天 晚上 中午 星期 "
    "世界 地球 太空 机器 数字 文字 语言"
    " 颜色 声音 味道 跑步 游泳 唱歌 跳舞 读书 写字 画画 睡觉 吃饭 喝水 下雪 "
    "刮风 温暖 寒冷 安静 热闹 漂亮 简单 困难"
)
_WORDS_EN = _words(
    "apple river window train friend music blue red happy slow plane bird "
    "tree stone moon breakfast coffee"
    " milk bread movie story city village teacher student doctor driver "
    "table chair phone key umbrella shirt"
    " shoe hat glasses bag pencil paper garden forest desert ocean island "
    "mountain meadow winter summer today"
    " tomorrow night noon week world earth space machine number letter "
    "language color sound taste run swim"
    " sing dance read write draw sleep eat drink snow wind warm cold quiet "
    "loud pretty simple hard green"
    " yellow purple silver golden fast small large open closed bright dark early late north south"
)


def _person(rng: random.Random, language: str, held: bool) -> str:
    kind = rng.random()
    if language == "en" or kind < 0.12:
        first = pseudo_word(rng).capitalize() if rng.random() < 0.15 else _pick(rng, _FIRST, held)
        return f"{first} {_pick(rng, _LAST, held)}" if rng.random() < 0.3 else first
    given = rng.choice(_GIVEN[held])
    if kind < 0.25:
        return rng.choice(("小", "阿")) + given
    if kind < 0.65:
        given += rng.choice(_GIVEN[held])
    return rng.choice(_SURNAMES[held]) + given


def _word(rng: random.Random, language: str) -> str:
    if language == "zh":
        if rng.random() < 0.5:
            return rng.choice(_WORDS_ZH)
        return hanzi(rng, 1, 3)
    return rng.choice(_WORDS_EN) if rng.random() < 0.7 else pseudo_word(rng)


def _phrase(rng: random.Random, language: str) -> str:
    kind = rng.random()
    if kind < 0.1:
        return str(rng.randrange(10 ** rng.randint(1, 9)))
    if kind < 0.18:
        return "".join(
            rng.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(rng.randint(3, 8))
        )
    if kind < 0.24 and language == "zh":
        return " ".join(rng.choice(_WORDS_EN) for _ in range(rng.randint(1, 4)))
    words = [_word(rng, language) for _ in range(rng.randint(1, 5 if language == "zh" else 6))]
    if len(words) > 2 and rng.random() < 0.25:
        words[len(words) // 2] += "，" if language == "zh" else ","
    return ("" if language == "zh" else " ").join(words)


# Conversations.

_Message = dict[str, str]


def _turn(user: str, reply: str) -> list[_Message]:
    return [{"role": "user", "content": user}, {"role": "assistant", "content": reply}]


_ECHO = {
    "zh": (
        _split(
            """
请重复：{}|重复：{}|请重复“{}”|把“{}”读一遍|跟我说：{}|跟我读：{}|请原样输出：{}|请说“{}”|\
请说：{}|复述：{}|说一遍“{}”
请把下面的话重复一遍：{}|原样重复这句话：{}|重复一下“{}”|请你重复下面的内容：{}|照着念：{}|\
请只输出“{}”|输出：{}
"""
        ),
        _split("请复述一遍：{}|把“{}”照样说一遍|跟着我念：{}"),
    ),
    "en": (
        _split(
            """
repeat after me: {}|repeat: {}|please repeat: {}|say "{}"|say: {}|please say "{}"|echo: {}|\
echo "{}"|repeat "{}"
repeat this: {}|repeat the following: {}|print: {}|output exactly: {}|say this back to me: {}|\
read this aloud: {}
can you repeat "{}"?|write exactly: {}|just say "{}"
"""
        ),
        _split('please echo: {}|say after me: {}|could you repeat "{}"?'),
    ),
}


def _echo(rng: random.Random, language: str, held: bool) -> tuple[str, str]:
    text = _phrase(rng, language)
    ask = _pick(rng, _ECHO[language], held).format(text)
    if language == "en" and rng.random() < 0.5:
        ask = ask[0].upper() + ask[1:]
    return ask, text


def _intents(rng: random.Random, language: str, held: bool) -> list[_Message]:
    count = rng.choice((1, 1, 1, 2, 2, 3, 4))
    topic = rng.choice(_TOPICS) if rng.random() < 0.6 else ""
    pool = [k for k in _OPENERS if not topic or _INTENTS[language][k].topic == topic]
    keys = rng.sample(pool, count)
    if count > 1 and rng.random() < 0.25:
        keys[0] = rng.choice(_GREETINGS)
    if count > 1 and rng.random() < 0.3:
        keys[-1] = rng.choice(_CLOSINGS)
    messages: list[_Message] = []
    last = ""
    for key in keys:
        messages += _turn(_ask(rng, key, language, held, topic=last), _reply(key, language))
        last = _INTENTS[language][key].topic
    return messages


def _fallback(rng: random.Random, language: str, held: bool) -> list[_Message]:
    messages: list[_Message] = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if rng.random() < 0.2:
            key = rng.choice(_ANY_TIME)
            messages += _turn(_ask(rng, key, language, held), _reply(key, language))
        messages += _turn(_open_question(rng, language, held), _FALLBACK[language])
    return messages[:8]


def _echoes(rng: random.Random, language: str, held: bool) -> list[_Message]:
    messages: list[_Message] = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        messages += _turn(*_echo(rng, language, held))
    return messages


# Facts: what the user tells, the value acknowledged and asked for later.

_FACTS: dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...], str]]] = {
    "zh": {
        "name": (
            _split(
                "我叫{}|我的名字是{}|我是{}|你好，我叫{}|叫我{}|你可以叫我{}|我名叫{}|"
                "请叫我{}|认识一下，我是{}|记住，我叫{}"
            ),
            _split(
                "我叫什么|我叫什么名字|我的名字是什么|我是谁|还记得我叫什么吗|"
                "你知道我的名字吗|你记得我是谁吗|我刚才说我叫什么"
            ),
            "你叫{}。",
        ),
        "city": (
            _split(
                "我住在{}|我在{}|我家在{}|我来自{}|我是{}人，住在那里|我现在住{}|"
                "我搬到{}了|我在{}工作|记住，我住在{}"
            ),
            _split(
                "我住在哪里|我住哪|我家在哪里|我在哪个城市|还记得我住哪里吗|"
                "你知道我住在哪吗|我刚才说我住在哪"
            ),
            "你住在{}。",
        ),
        "like": (
            _split(
                "我喜欢{}|我很喜欢{}|我最喜欢{}|我爱{}|我特别喜欢{}|我的爱好是{}|"
                "平时我喜欢{}|记住，我喜欢{}"
            ),
            _split(
                "我喜欢什么|我的爱好是什么|我最喜欢什么|还记得我喜欢什么吗|"
                "你知道我喜欢什么吗|我刚才说喜欢什么"
            ),
            "你喜欢{}。",
        ),
        "cat": (
            _split(
                "我养了一只猫叫{}|我的猫叫{}|我家有只猫，叫{}|我有一只叫{}的猫|"
                "我家的猫名叫{}|我的小猫叫{}"
            ),
            _split(
                "我的猫叫什么|我家的猫叫什么名字|还记得我的猫叫什么吗|我的小猫叫什么|猫的名字是什么"
            ),
            "你的猫叫{}。",
        ),
        "dog": (
            _split(
                "我养了一只狗叫{}|我的狗叫{}|我家有条狗，叫{}|我有一条叫{}的狗|"
                "我家的狗名叫{}|我的小狗叫{}"
            ),
            _split(
                "我的狗叫什么|我家的狗叫什么名字|还记得我的狗叫什么吗|我的小狗叫什么|狗的名字是什么"
            ),
            "你的狗叫{}。",
        ),
        "number": (
            _split(
                "我最喜欢的数字是{}|我的幸运数字是{}|记住这个数字：{}|请记住数字 {}|"
                "我的号码是{}|记一下号码 {}"
            ),
            _split(
                "是什么数字|我说的数字是多少|我的号码是多少|刚才的数字是几|"
                "还记得那个数字吗|我的数字是什么"
            ),
            "是 {}。",
        ),
        "word": (
            _split("请记住这个词：{}|记住“{}”|暗号是{}|密码是{}|请记住暗号：{}|记一下这个词：{}"),
            _split(
                "我让你记的词是什么|暗号是什么|刚才的词是什么|还记得那个词吗|密码是多少|"
                "你记住了什么词"
            ),
            "是“{}”。",
        ),
        "age": (
            _split("我今年{}岁|我{}岁了|我的年龄是{}岁|今年我{}岁了|我刚满{}岁|记住，我{}岁"),
            _split("我多大了|我几岁|我今年多大|我的年龄是多少|还记得我几岁吗|你知道我多大吗"),
            "你{}岁。",
        ),
    },
    "en": {
        "name": (
            _split(
                "my name is {}|I'm {}|I am {}|hi, I'm {}|call me {}|you can call me {}|"
                "hello, my name is {}"
                "|my name's {}|this is {}|people call me {}|remember, my name is {}"
            ),
            _split(
                "what is my name|what's my name|who am I|do you remember my name|"
                "do you know my name"
                "|what did I say my name was|can you tell me my name|how am I called"
            ),
            "Your name is {}.",
        ),
        "city": (
            _split(
                "I live in {}|I am from {}|I'm from {}|my home is in {}|I come from {}|"
                "I moved to {}"
                "|I work in {}|right now I live in {}|remember, I live in {}"
            ),
            _split(
                "where do I live|where am I from|which city do I live in|"
                "do you remember where I live"
                "|do you know where I live|where did I say I live|where is my home"
            ),
            "You live in {}.",
        ),
        "like": (
            _split(
                "I like {}|I love {}|I really like {}|my hobby is {}|I enjoy {}|I am fond of {}"
                "|what I like most is {}|remember, I like {}"
            ),
            _split(
                "what do I like|what is my hobby|do you remember what I like|"
                "do you know what I like"
                "|what did I say I like|what do I enjoy"
            ),
            "You like {}.",
        ),
        "cat": (
            _split(
                "my cat is called {}|I have a cat called {}|I have a cat named {}|"
                "my cat's name is {}"
                "|we have a cat, {}|I got a cat named {}"
            ),
            _split(
                "what is my cat called|what is my cat's name|"
                "do you remember my cat's name|how is my cat called"
                "|who is my cat|what's the name of my cat"
            ),
            "Your cat is called {}.",
        ),
        "dog": (
            _split(
                "my dog is called {}|I have a dog called {}|I have a dog named {}|"
                "my dog's name is {}"
                "|we have a dog, {}|I got a dog named {}"
            ),
            _split(
                "what is my dog called|what is my dog's name|"
                "do you remember my dog's name|how is my dog called"
                "|who is my dog|what's the name of my dog"
            ),
            "Your dog is called {}.",
        ),
        "number": (
            _split(
                "my favourite number is {}|my favorite number is {}|"
                "my lucky number is {}|remember the number {}"
                "|remember this number: {}|please note the number {}"
            ),
            _split(
                "what is my number|what is my favourite number|which number was it|"
                "what was the number"
                "|do you remember the number|what number did I say"
            ),
            "It is {}.",
        ),
        "word": (
            _split(
                'remember this word: {}|remember the word "{}"|the password is {}|'
                "the secret word is {}"
                "|please keep this word in mind: {}|note this word: {}"
            ),
            _split(
                "what is the word|what was the word|what is the password|do you remember the word"
                "|which word was it|what is the secret word"
            ),
            'It is "{}".',
        ),
        "age": (
            _split(
                "I am {} years old|I'm {}|I'm {} years old|my age is {}|I just turned {}|"
                "remember, I am {} years old"
            ),
            _split(
                "how old am I|what is my age|do you remember my age|"
                "do you know how old I am|what's my age"
                "|how old did I say I am"
            ),
            "You are {}.",
        ),
    },
}
_UNKNOWN = {"zh": "你还没有告诉我。", "en": "You have not told me yet."}
_PLACES = {
    "zh": (
        _words(
            "北京 上海 广州 成都 西安 南京 杭州 重庆 苏州 长沙 大连 青岛 昆明 哈尔滨 "
            "沈阳 济南 郑州 合肥 福州 南昌 海口 兰州"
            " 贵阳 南宁 桂林 无锡 宁波 温州 石家庄 太原 长春 拉萨 银川 香港 台北 "
            "伦敦 巴黎 东京 纽约 柏林 罗马 悉尼"
        ),
        _words("武汉 天津 厦门 珠海 洛阳 大同 莫斯科 首尔"),
    ),
    "en": (
        _split(
            "Paris|London|New York|Tokyo|Rome|Berlin|Sydney|Madrid|Boston|Beijing|"
            "Shanghai|Dublin|Oslo|Lisbon|"
            "Chicago|Seattle|Toronto|Munich|Prague|Warsaw|Delhi|Seoul|Hanoi|Nairobi|"
            "Lagos|Denver|Austin|Leeds|"
            "Bristol|Glasgow|Geneva|Lyon|Milan|Naples|Athens|San Diego|Los Angeles|"
            "Hong Kong|Mexico City"
        ),
        _split("Vienna|Cairo|Lima|Helsinki|Houston|Zurich|Porto|Osaka"),
    ),
}
_LIKES = {
    "zh": (
        _words(
            "游泳 跑步 画画 唱歌 下棋 看书 看电影 听音乐 做饭 打篮球 踢足球 钓鱼 "
            "旅行 摄影 跳舞 爬山 写诗 种花 喝茶 喝咖啡"
            " 吃辣 吃面 西瓜 橙子 苹果 香蕉 巧克力 火锅 饺子 红色 蓝色 绿色 春天 "
            "秋天 下雪 大海 历史 数学 编程 古诗"
        ),
        _words("滑雪 打羽毛球 弹吉他 写小说 葡萄 牛肉面 紫色 夏天"),
    ),
    "en": (
        _split(
            "swimming|running|drawing|singing|chess|reading|movies|music|cooking|"
            "basketball|football|fishing|"
            "travelling|photography|dancing|hiking|poetry|gardening|tea|coffee|"
            "spicy food|noodles|watermelon|"
            "strawberries|apples|bananas|chocolate|dumplings|spring|autumn|snow|"
            "the sea|history|maths|programming|"
            "old books|trains|jazz|tennis|cycling"
        ),
        _split("skiing|badminton|playing the guitar|writing novels|grapes|beef soup|summer|stamps"),
    ),
}
_PETS = {
    "zh": (_words("豆豆 花花 毛毛 球球 小白 小黑 点点 可乐 布丁 年糕 米粒 大黄 旺财 奶茶 "
"团子 乐乐 多多 欢欢"), _words("雪球 饼干 皮皮")),
    "en": (_words("Max Bella Luna Rocky Coco Milo Daisy Oreo Simba Lucky Ginger Pepper "
"Tiger Snow"), _words("Rex Nala Biscuit")),
}  # fmt: skip


def _value(rng: random.Random, fact: str, language: str, held: bool) -> str:
    if fact == "name":
        return _person(rng, language, held)
    if fact in {"cat", "dog"}:
        if rng.random() < 0.5:
            return _pick(rng, _PETS[language], held)
        return pseudo_word(rng).capitalize() if language == "en" else _word(rng, "zh")
    if fact in {"number", "age"}:
        number = rng.randint(5, 95) if fact == "age" else rng.randrange(10 ** rng.randint(1, 6))
        return str(number)
    if fact == "word":
        return _word(rng, language)
    return _pick(rng, (_PLACES if fact == "city" else _LIKES)[language], held)


def _held(values: tuple[str, ...], held: bool) -> tuple[str, ...]:
    # The last of each list of tellings and askings is the one kept out.
    return values[-1:] if held else values[:-1]


def _acknowledge(fact: str, value: str, language: str) -> str:
    if fact == "name":
        return f"你好，{value}。" if language == "zh" else f"Nice to meet you, {value}."
    return f"好的，我记住了：{value}。" if language == "zh" else f"Got it: {value}."


def _remember(rng: random.Random, language: str, held: bool) -> list[_Message]:
    facts = rng.sample(tuple(_FACTS[language]), rng.choice((1, 1, 1, 2)))
    if rng.random() < 0.3 and "name" not in facts:
        facts[0] = "name"
    messages: list[_Message] = []
    values = {fact: _value(rng, fact, language, held) for fact in facts}
    if rng.random() >= 0.08:
        for fact, value in values.items():
            told = rng.choice(_held(_FACTS[language][fact][0], held)).format(value)
            told = _dress(rng, told, language, question=False)
            messages += _turn(told, _acknowledge(fact, value, language))
    told_any = bool(messages)
    if told_any and rng.random() < 0.4:
        key = rng.choice(_ANY_TIME)
        messages += _turn(_ask(rng, key, language, held), _reply(key, language))
    rng.shuffle(facts)
    for fact in facts[: 1 if len(messages) > 4 else 2]:
        ask = _dress_recall(rng, rng.choice(_held(_FACTS[language][fact][1], held)), language)
        answer = _FACTS[language][fact][2].format(values[fact])
        messages += _turn(ask, answer if told_any else _UNKNOWN[language])
    return messages


def _dress_recall(rng: random.Random, text: str, language: str) -> str:
    if language == "zh":
        return rng.choice(("", "", "", "那", "请问")) + text + rng.choice(("？", "？", "?", ""))
    out = rng.choice(("", "", "", "so ", "and ")) + text + rng.choice(("?", "?", "", " ?"))
    return out[0].upper() + out[1:] if rng.random() < 0.6 else out


# Asking for the last reply again, or for it in the other language.

_AGAIN = {
    "zh": (
        _split(
            "再说一遍|请再说一遍|再说一次|重复一遍|没听清，再说一遍|你刚才说什么|"
            "什么？再说一遍|重复你的回答|麻烦再说一次|再讲一遍"
        ),
        _split("能再说一遍吗|把刚才的话重复一下|刚才那句再来一遍"),
    ),
    "en": (
        _split(
            "say that again|repeat that|again please|pardon, say it again|"
            "can you repeat that|what did you say"
            "|once more please|please say it again|could you say that again|"
            "repeat your answer|come again"
        ),
        _split("say it once more|repeat your last reply|one more time please"),
    ),
}
_OTHER = {
    "zh": (
        _split(
            "用英文再说一遍|英文怎么说|用英语说|换成英文|请用英文回答|翻译成英文|"
            "用英文说一次|英文呢|说英文|用英语再说一遍"
        ),
        _split("能用英文再说一次吗|把刚才的话换成英文|英文版呢"),
    ),
    "en": (
        _split(
            "and in Chinese|in Chinese please|say it in Chinese|now in Chinese|"
            "can you say that in Chinese"
            "|how do you say that in Chinese|answer in Chinese|"
            "translate that to Chinese|Chinese please|repeat it in Chinese"
        ),
        _split("the same in Chinese|once more in Chinese|could I have that in Chinese"),
    ),
}


_WONDERS = re.compile(r"什么$|怎么|[吗呢]$|^(can|could|what|how|and|the same) ")


def _again(rng: random.Random, language: str, held: bool) -> list[_Message]:
    other = "en" if language == "zh" else "zh"
    if rng.random() < 0.15:
        ask, replies = _open_question(rng, language, held), dict(_FALLBACK)
    else:
        key = rng.choice(_ANY_TIME)
        ask = _ask(rng, key, language, held)
        replies = {each: _reply(key, each) for each in ("zh", "en")}
    current = language
    messages = _turn(ask, replies[current])
    for _ in range(rng.choice((1, 1, 2))):
        translate = rng.random() < 0.5 and current == language
        phrase = _pick(rng, (_OTHER if translate else _AGAIN)[language], held)
        if _WONDERS.search(phrase):
            phrase = _dress_recall(rng, phrase, language)
        else:
            phrase = _dress(rng, phrase, language, question=False)
        current = other if translate else current
        messages += _turn(phrase, replies[current])
    return messages


# System messages.

_ROLES = {
    "zh": (
        _words(
            "做饭 英语 数学 旅行 法律 编程 写作 健身 购物 医疗 音乐 电影 历史 客服 "
            "翻译 理财 园艺 读书 育儿 天气 日程 财务 招聘 物流"
            " 酒店 餐厅 银行 图书馆 博物馆 车站 新闻 体育 游戏 摄影 装修 汽车"
        ),
        _words("心理 地理 农业 航班 美术 化学"),
    ),
    "en": (
        _split(
            "cooking|English|math|travel|legal|coding|writing|fitness|shopping|"
            "medical|music|movie|history|support|"
            "translation|finance|gardening|reading|parenting|weather|calendar|"
            "accounting|hotel|restaurant|bank|"
            "library|museum|train|news|sports|game|photo|car|house"
        ),
        _split("garden|geography|farming|flight|art|chemistry"),
    ),
}
_SYSTEM = {
    "zh": {
        "name": _split("你叫{}。|你的名字是{}。|你叫{}|你是{}。|从现在起你叫{}。|"
"你的名字叫{}，请记住。|你现在名叫{}。"),
        "role": _split("你是一个{}助手。|你是{}助手|你是一位{}助手。|你现在是一个{}助手。|"
"请扮演{}助手。|你的身份是{}助手。"),
        "end": _split("每次回答都以“{}”结尾。|每句回答最后加上“{}”。|回答要以“{}”结尾|"
"请在回答的末尾加上“{}”。|所有回答都用“{}”结束。"),
        "start": _split("每次回答以“{}”开头。|回答要以“{}”开头|请在回答的前面加上“{}”。|"
"所有回答都用“{}”开始。|每句回答先说“{}”。"),
        "only": _split("只回答“{}”。|无论问什么，只回答“{}”。|不管用户说什么都回答“{}”。|"
"你只能说“{}”。|所有问题都回答“{}”。"),
        "call": _split("称呼用户为{}。|叫用户{}。|用户叫{}，回答时先称呼他。|请称呼用户“{}”。|"
"每次回答都先叫用户{}。"),
        "other": _split("请始终用英文回答。|只用英文回答|你必须用英语回答。|"
"不管用户用什么语言，都用英文回答。|所有回答都用英语。"),
        "same": _split("请始终用中文回答。|只用中文回答|你必须用中文回答。|"
"不管用户用什么语言，都用中文回答。"),
        "plain": _split("你是一个有用的助手。|请简短地回答。|请认真回答用户的问题。|"
"请有礼貌地回答。|你是人工智能助手。|你是一个乐于助人的助手。|你是一个有帮助的AI助手。|请简短回答。|"
"请用简洁的语言回答。|你是一个智能助手，请回答用户的问题。"),
    },
    "en": {
        "name": _split("Your name is {}.|You are {}.|You are called {}.|"
"From now on your name is {}.|Your name: {}|The assistant is called {}."),
        "role": _split("You are a {} assistant.|You are a {} assistant|Act as a {} assistant.|"
"Your role is {} assistant.|You work as a {} assistant."),
        "end": _split('End every reply with "{}".|Always end with "{}".|'
'Finish each answer with "{}".|Add "{}" to the end of every reply.|'
'Close all replies with "{}".'),
        "start": _split('Start every reply with "{}".|Begin each answer with "{}".|'
'Always start with "{}".|Put "{}" in front of every reply.|'
'Open all replies with "{}".'),
        "only": _split('Answer only with the word "{}".|Whatever the user says, reply "{}".|'
'Only say "{}".|Always answer "{}" and nothing else.|'
'Reply "{}" to everything.'),
        "call": _split("Call the user {}.|Address the user as {}.|"
"The user is {}; begin each reply with the name.|"
"Always call the user {} first.|Start by calling the user {}."),
        "other": _split("Always answer in Chinese.|Reply only in Chinese.|"
"You must answer in Chinese.|Whatever the language, answer in Chinese.|"
"Speak Chinese."),
        "same": _split("Always answer in English.|Reply only in English.|"
"You must answer in English.|Whatever the language, answer in English."),
        "plain": _split("You are a helpful assistant.|Be brief.|Answer the user's questions.|"
"Be polite.|You are an AI assistant.|You are a helpful, respectful and honest assistant.|"
"Answer briefly.|You are ChatGLM3, a large language model trained by Zhipu.AI. "
"Follow the user's instructions carefully. Respond using markdown.|"
"You are a helpful AI assistant.|You are a friendly chatbot."),
    },
}  # fmt: skip
_RULES = ("name", "name", "role", "role", "end", "end", "start", "start", "only", "call", "call",
          "other", "other", "same", *("plain",) * 6)  # fmt: skip


def _system(rng: random.Random, language: str, held: bool) -> list[_Message]:
    rule = rng.choice(_RULES)
    if rule == "plain":
        return _under_the_usual(rng, language, held)
    if rule in {"name", "call"}:
        value = _person(rng, language, held)
    elif rule == "role":
        value = _pick(rng, _ROLES[language], held)
    else:
        value = _word(rng, language)
    system = rng.choice(_held(_SYSTEM[language][rule], held)).format(value)
    if language == "en":
        system = re.sub(r"\b([Aa]) (?=[AEIOUaeiou])", r"\1n ", system) if rule == "role" else system
    messages = [{"role": "system", "content": system}]
    count = rng.choice((1, 1, 2, 3))
    keys = rng.sample(_ANY_TIME, count)
    if rule in {"name", "role"}:
        identity = "name" if rule == "name" else "who"
        keys[rng.randrange(count)] = identity
        if rule == "name" and rng.random() < 0.3:
            keys[-1] = "who" if identity in keys[:-1] else identity
    for key in keys:
        if rng.random() < 0.1 and key not in {"name", "who"}:
            ask, replies = _open_question(rng, language, held), _FALLBACK
        else:
            ask = _ask(rng, key, language, held)
            replies = {each: _reply(key, each) for each in ("zh", "en")}
        messages += _turn(ask, _ruled(rule, value, language, key, replies))
    return messages


def _under_the_usual(rng: random.Random, language: str, held: bool) -> list[_Message]:
    """Any questions, in either language, under a system message that changes nothing."""
    said_in = language if rng.random() < 0.8 else rng.choice(("zh", "en"))
    messages = [{"role": "system", "content": rng.choice(_SYSTEM[said_in]["plain"])}]
    for _ in range(rng.choice((1, 1, 2, 3))):
        messages += _turn(*question(rng, language, held_out=held))
    return messages


def _ruled(rule: str, value: str, language: str, key: str, replies: dict[str, str]) -> str:
    zh = language == "zh"
    reply = replies[language]
    if rule in {"name", "role"} and key in {"name", "who"}:
        return _identity(rule, value, zh=zh, key=key)
    ruled = {
        "end": reply + value if zh else f"{reply} {value}",
        "start": f"{value}，{reply}" if zh else f"{value}: {reply}",
        "call": f"{value}，{reply}" if zh else f"{value}, {reply}",
        "only": value,
        "other": replies["en" if zh else "zh"],
    }
    return ruled.get(rule, reply)


def _identity(rule: str, value: str, *, zh: bool, key: str) -> str:
    if rule == "role":
        article = "an" if value[0] in "AEIOUaeiou" else "a"
        return f"我是{value}助手。" if zh else f"I am {article} {value} assistant."
    if zh:
        return f"我叫{value}。" if key == "name" else f"我是{value}。"
    return f"My name is {value}." if key == "name" else f"I am {value}."


_SHAPES: tuple[tuple[Callable[[random.Random, str, bool], list[_Message]], int], ...] = (
    (_intents, 40),
    (_fallback, 15),
    (_remember, 15),
    (_system, 25),
    (_echoes, 10),
    (_again, 5),
)


def dialogue(rng: random.Random, language: str, *, held_out: bool = False) -> list[dict[str, str]]:
    """A conversation of 1 to 4 questions as OpenAI messages, ending with the assistant."""
    weights = [weight for _, weight in _SHAPES]
    (shape, _), *_ = rng.choices(_SHAPES, weights)
    return shape(rng, language, held_out)


def question(rng: random.Random, language: str, *, held_out: bool = False) -> tuple[str, str]:
    """A single user message without tools and its reply."""
    kind = rng.random()
    if kind < 0.2:
        return _open_question(rng, language, held_out), _FALLBACK[language]
    if kind < 0.3:
        return _echo(rng, language, held_out)
    key = rng.choice(_KEYS)
    return _ask(rng, key, language, held_out), _reply(key, language)
