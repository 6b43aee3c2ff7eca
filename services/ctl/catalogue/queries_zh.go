package catalogue

// The built-in embedder knows Chinese text only by its characters, so these show
// how far it gets where no pair of characters is shared: not far.
var chineseQueries = []Query{
	{Chinese, "锋利的厨师用品", "zh-chef-knives"},
	{Chinese, "做饭用的机器", "zh-rice-cookers"},
	{Chinese, "喝红茶用的瓷器", "zh-tea-sets"},
	{Chinese, "打扫房间除尘机器", "zh-vacuums"},
	{Chinese, "去掉衬衫污迹的皂液", "zh-detergents"},
	{Chinese, "雾霾天改善室内环境", "zh-air-purifiers"},
	{Chinese, "酷暑降温", "zh-fans"},
	{Chinese, "睡觉腰疼怎么办", "zh-mattresses"},
	{Chinese, "存放小说杂志的柜子", "zh-bookcases"},
	{Chinese, "晨练穿的球鞋", "zh-running-shoes"},
	{Chinese, "野外过夜的住处", "zh-tents"},
	{Chinese, "防盗自行车", "zh-bike-locks"},
	{Chinese, "屏蔽噪音听歌", "zh-headphones"},
	{Chinese, "移动电源", "zh-power-banks"},
	{Chinese, "新生儿尿布", "zh-nappies"},
	{Chinese, "冬季保暖大衣", "zh-down-jackets"},
}
