"""What the run of 2024-12-18 printed, cell by cell: the data that the chapters carry on.

A cell is (number, part of its code here, part of its output); where the course says a thing in
another way than the original (no bare exec, the 404 caught), the code is ours. Fields that the
SDK has added since are not in the outputs of 2024, so parts are chosen that don't span them.
"""

MODEL_IDS = [
    "gpt-4o",
    "o1-mini-2024-09-12",
    "dall-e-2",
    "gpt-4-1106-preview",
    "gpt-3.5-turbo-instruct",
    "babbage-002",
    "davinci-002",
    "whisper-1",
    "dall-e-3",
    "gpt-4o-realtime-preview-2024-10-01",
    "text-embedding-3-small",
    "gpt-3.5-turbo-16k",
    "gpt-4-0125-preview",
    "gpt-4o-realtime-preview",
    "gpt-4-turbo-preview",
    "omni-moderation-latest",
    "gpt-4o-2024-05-13",
    "omni-moderation-2024-09-26",
    "tts-1-hd-1106",
    "chatgpt-4o-latest",
    "gpt-4",
    "gpt-4-0613",
    "o1-mini",
    "gpt-3.5-turbo",
    "gpt-3.5-turbo-0125",
    "o1-preview",
    "o1-preview-2024-09-12",
    "gpt-4-turbo",
    "tts-1-hd",
    "text-embedding-ada-002",
    "gpt-4-turbo-2024-04-09",
    "gpt-3.5-turbo-1106",
    "gpt-4o-audio-preview",
    "gpt-4o-audio-preview-2024-10-01",
    "gpt-4o-mini",
    "tts-1",
    "tts-1-1106",
    "gpt-3.5-turbo-instruct-0914",
    "text-embedding-3-large",
    "gpt-4o-realtime-preview-2024-12-17",
    "gpt-4o-mini-2024-07-18",
    "gpt-4o-mini-realtime-preview",
    "gpt-4o-mini-realtime-preview-2024-12-17",
    "gpt-4o-2024-11-20",
    "gpt-4o-2024-08-06",
]

# id: (created, owned_by), where the print shows them
MODEL_FIELDS = {
    "gpt-4o": (1715367049, "system"),
    "o1-mini-2024-09-12": (1725648979, "system"),
    "dall-e-2": (1698798177, "system"),
    "gpt-4-1106-preview": (1698957206, "system"),
    "gpt-3.5-turbo-instruct": (1692901427, "system"),
    "babbage-002": (1692634615, "system"),
    "davinci-002": (1692634301, "system"),
    "whisper-1": (1677532384, "openai-internal"),
    "dall-e-3": (1698785189, "system"),
    "gpt-4o-realtime-preview-2024-10-01": (1727131766, "system"),
    "text-embedding-3-small": (1705948997, "system"),
    "gpt-3.5-turbo-16k": (1683758102, None),
    "gpt-3.5-turbo": (1677610602, "openai"),  # shown by In [9]
}

JOKES = """\


1. 为什么程序员总是喜欢用鼠标？因为他们不喜欢用键盘，因为它们有太多的键。

2. 为什么程序员总是喜欢喝咖啡？因为它可以帮助他们找出bug。

3. 为什么程序员总是喜欢用黑色的背景？因为他们喜欢黑客。

4. 为什么程序员总是喜欢用Linux？因为他们觉得自己是个“开放”的人。

5. 为什么程序员总是喜欢在周末加班？因为他们觉得这是最好的“休息”方式。

6. 为什么程序员总是喜欢用英文命名变量？因为他们觉得这样可以让他们的代码看起来更“高大上”。

7. 为什么程序员总是喜欢用注释？因为他们认为这是唯一能让别人理解他们代码的方法。

8. 为什么程序员总是喜欢用递归？因为他们喜欢不断重复同样的事情，直到出现错误。

9. 为什么程序员总是喜欢用缩写？因为他们觉得这样可以节省时间，但实际上他们花的时间更多。

10. 为什么程序员总是喜欢坐在电脑前？因为他们觉得这样可以让他们的腰椎病得到最好的治疗。
"""

QUICK_SORT = """\


def quick_sort(arr):
    if len(arr) <= 1:
        return arr
    pivot = arr[0]
    left = [x for x in arr[1:] if x <= pivot]
    right = [x for x in arr[1:] if x > pivot]
    return quick_sort(left) + [pivot] + quick_sort(right)
"""

HELLO = {"role": "user", "content": "Hello!"}
HELLO_REPLY = {"role": "assistant", "content": "Hi there! How can I assist you today?"}
THREE_QUESTIONS = {
    "role": "user",
    "content": "1.讲一个程序员才听得懂的冷笑话；2.今天是几号？3.明天星期几？",
}
THREE_ANSWERS = (
    "1. 为什么程序员总是喜欢午饭吃鱼？因为他们喜欢“捕获”BUG！\n"
    "2. 今天是什么日期？\n"
    "3. 明天是星期几呢？"
)
EXPERT = {"role": "system", "content": "你是一个乐于助人的体育界专家。"}
WHERE = {"role": "user", "content": "2008年奥运会是在哪里举行的？"}
WHERE_REPLY = {
    "role": "assistant",
    "content": "2008年夏季奥林匹克运动会是在中国的北京市举行的。",
}
MEDALS = {"role": "user", "content": "1.金牌最多的是哪个国家？2.奖牌最多的是哪个国家？"}
MEDALS_REPLY = (
    "1. 2008年夏季奥运会上，金牌最多的国家是中国，共获得51枚金牌。\n"
    "2. 奖牌最多的国家也是中国，总共获得100枚奖牌（金牌51枚、银牌21枚、铜牌28枚）。"
)
NO_HISTORY_REPLY = "1. 金牌最多的国家是美国。\n2. 奖牌最多的国家是美国。"

CELLS = {
    "01_models": [
        (1, "OPENAI_API_KEY", "True"),
        (2, "models = openai.models.list()", ""),
        (3, "print(str(models)", "SyncPage[Model](data=[Model(id='gpt-4o', created=1715367049, "),
        (4, "models.data[:11]", "Model(id='whisper-1', created=1677532384, object='model', "),
        (5, "models.data[0].id", "'gpt-4o'"),
        (6, "model_list = [model.id for model in models.data]", ""),
        (7, "print(model_list)", f"{MODEL_IDS}\n"),
        (8, "client.models.retrieve(lesson.chat_model)", ""),
        (9, "print(gpt_3)", "Model(id='gpt-3.5-turbo', created=1677610602, object='model', "),
        (9, "print(gpt_3)", "owned_by='openai'"),
        (10, 'client.models.retrieve("gpt-4-vision-preview")', "404"),
        (10, "NotFoundError", "The model 'gpt-4-vision-preview' does not exist"),
        (10, "NotFoundError", "model_not_found"),
    ],
    "02_completions": [
        (11, 'prompt="Say this is a test",\n    max_tokens=7,\n    temperature=0,', ""),
        (12, "print(data)", "Completion(id='cmpl-AfjyQ6rVgmb5ozO3VDds2s9ce0leu', "),
        (12, "print(data)", "CompletionChoice(finish_reason='stop', index=0, logprobs=None, "),
        (12, "print(data)", r"text='\n\nThis is a test.')], created=1734511534, "),
        (12, "print(data)", "completion_tokens=6, prompt_tokens=5, total_tokens=11"),
        (13, "text = data.choices[0].text", ""),
        (14, "print(text)", "\n\nThis is a test.\n"),
        (15, 'prompt="讲10个给程序员听得笑话",\n    max_tokens=1000,\n    temperature=0.5,', ""),
        (16, "print(text)", JOKES),
        (17, 'prompt="生成可执行的快速排序 Python 代码",\n    max_tokens=1000,', ""),
        (18, "print(text)", QUICK_SORT),
        (27, "box.run(extract_code(text))", ""),
        (28, 'box.call("quick_sort", [12, 3, 6, 8, 10, 1, 2, 1])', "[1, 1, 2, 3, 6, 8, 10, 12]"),
    ],
    "03_chat": [
        (29, 'messages = [{"role": "user", "content": "Hello!"}]', ""),
        (30, "print(data)", "ChatCompletion(id='chatcmpl-Afk16b4Jn6dziEXwfdiG9caA4ARYE', "),
        (30, "print(data)", "Choice(finish_reason='stop', index=0, logprobs=None, "),
        (30, "print(data)", "created=1734511700, model='gpt-3.5-turbo-0125', "),
        (30, "print(data)", "completion_tokens=10, prompt_tokens=9, total_tokens=19"),
        (31, "print(new_message)", f"ChatCompletionMessage(content={HELLO_REPLY['content']!r}"),
        (32, "messages.append(new_message)", f"[{HELLO}, ChatCompletionMessage(content="),
        (33, "type(new_message)", "openai.types.chat.chat_completion_message"),
        (34, "new_message.role", "'assistant'"),
        (35, "new_message.content", repr(HELLO_REPLY["content"])),
        (36, "messages.pop()", f"ChatCompletionMessage(content={HELLO_REPLY['content']!r}"),
        (37, "print(messages)", f"[{HELLO}]\n"),
        (38, "type(new_message_dict)", "dict"),
        (39, "print(new_message_dict)", f"{HELLO_REPLY}\n"),
        (40, "messages.append(new_message_dict)", ""),
        (41, "print(messages)", f"{[HELLO, HELLO_REPLY]}\n"),
        (42, THREE_QUESTIONS["content"], ""),
        (43, "messages.append(new_chat)", ""),
        (44, "pprint(messages)", f"{THREE_QUESTIONS['content']!r}, 'role': 'user'}}]\n"),
        (45, "client.chat.completions.create(model=lesson.chat_model, messages=messages)", ""),
        (46, "print(new_message)", f"ChatCompletionMessage(content={THREE_ANSWERS!r}"),
        (47, "print(new_message.content)", f"{THREE_ANSWERS}\n"),
        (48, EXPERT["content"], ""),
        (48, WHERE["content"], ""),
        (49, "client.chat.completions.create(model=lesson.chat_model, messages=messages)", ""),
        (50, "print(message)", f"{WHERE_REPLY['content']}\n"),
        (51, "messages.append(to_dict(data))", ""),
        (52, "messages", repr(WHERE_REPLY)),
        (53, MEDALS["content"], ""),
        (54, "messages", repr(MEDALS)),
        (55, "client.chat.completions.create(model=lesson.chat_model, messages=messages)", ""),
        (56, "print(message)", f"{MEDALS_REPLY}\n"),
        (57, MEDALS["content"], ""),
        (58, "data.choices[0].message.content", repr(NO_HISTORY_REPLY)),
    ],
}
