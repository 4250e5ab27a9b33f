"""Why words do not go out, as staff read it."""

DEAD = "素材已下线或过期"
NOT_FOR_HERE = "素材不适用于单聊或该客户所在支行，或关联产品已停售"
ABOVE_CEILING = "素材风险等级高于客户风险承受能力"
NO_SOURCE = "没有引用任何已审批素材"
TOO_LONG = "文本超过企业微信 {limit} 字节的上限"
UNFILLED = "文本中有未填写的占位符"
EMPTY = "内容不能为空"
RM_DISABLED = "客户经理账号已停用"
NO_CERTIFICATE = (
    "客户经理的从业资格没有登记，只能原样发送投资者教育内容；请联系管理员补登资格有效期"
)
CERTIFICATE_ENDED = (
    "客户经理的从业资格已于 {until} 到期，只能原样发送投资者教育内容；续期后请联系管理员更新"
)
LINK = "链接“{link}”不在本行允许的域名内，请删除，或改用素材里的链接"
OTHER_PRODUCT = "提到了引用素材之外的产品“{name}”，请删除，或改用介绍该产品的素材"
UNLISTED = "“{name}”不在总行今天的产品名单内，不得向客户提及"
NUMBER = "数字“{number}”在引用素材中找不到出处，请删除或改回原文。"
UNABLE = "合规检查暂时无法完成（{error}），内容没有发出，请稍后重试；若再次出现，请联系系统管理员"
SAID_ALREADY = "这条内容已经发出，不能再以其他文字发送"
NOT_FOR_GROUP = "素材不适用于客户群或您所在支行，涉及私募产品，或关联产品已停售"
TOO_MANY = "一次最多附 {most} 份素材，请减少后再发送"
TITLE_TOO_LONG = (
    "素材《{title}》的卡片标题超过企业微信 {limit} 字节的上限，请内容团队缩短后重新提交"
)
FILE_TOO_LARGE = "素材《{title}》的文件超过企业微信 {limit} MB 的上限，请内容团队压缩后重新提交"
MEDIA_FAILED = "素材文件没有传到企业微信（{error}），内容没有发出，请稍后再点一次发送"
MODEL_STOPPED = "合规已停用模型起草，这条由模型起草的回复不能发送；请换一条，系统会引用审批原文"
COMPLAINT_OPEN = "客户的投诉还没有办结，暂停发送营销内容；可以就投诉本身答复客户"
MINOR = "客户未满18周岁，不能发送营销内容"
PRIVATE_IN_GROUP = "“{name}”是私募产品，不得在客户群中提及"
ABOVE_GROUP = "内容涉及 R{level} 产品，高于客户群允许的 R{most}；请改为单聊，按客户风险等级发送"
NO_PRODUCT_IN_GROUP = "客户群里不能提及具体产品；请改为单聊，按客户风险等级发送"
PERSONAL_IN_GROUP = "内容含有个人信息（{what}），不能发到客户群"
NAMES_IN_GROUP = "内容提到了群内客户“{name}”，不能发到客户群"
NO_GROUP_CONSENT = (
    "群内有 {count} 位客户没有营销授权，营销内容不能发到这个群；请改为单聊发给已授权的客户"
)
GROUP_GONE = "群已解散，或您已不在群里"
GROUP_EMPTY = "群里现在没有客户，不用发送"
