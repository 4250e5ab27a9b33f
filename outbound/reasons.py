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
