package catalogue

var officeKinds = []kind{
	{
		key: "notebooks", path: "Office/Paper", low: 5, high: 29,
		name: "{a} Notebook, {b}",
		a:    "Hardcover|Spiral|Pocket|Recycled", b: "Lined|Dotted|Plain",
		use: [2]string{
			"A notebook for ideas, sketches and lists.",
			"Smooth paper pages for notes at school and in meetings.",
		},
		more: [2]string{
			"Opens flat and has a ribbon.",
			"The thick paper does not let ink through.",
		},
	},
	{
		key: "fountain-pens", path: "Office/Pens", low: 15, high: 149,
		name: "{a} Fountain Pen, {b}",
		a:    "Brass|Resin|Matte Black|Brushed Steel", b: "Fine Nib|Medium Nib|Broad Nib",
		use: [2]string{
			"A fountain pen that glides over paper.",
			"Writes smoothly in deep blue or black.",
		},
		more: [2]string{
			"Takes cartridges or a converter.",
			"Comes in a box that makes it a present.",
		},
	},
	{
		key: "office-chairs", path: "Office/Chairs", low: 89, high: 499,
		name: "{a} Office Chair, {b}",
		a:    "Mesh|High-Back|Leather|Swivel", b: "Fixed Arms|Adjustable Arms|Flip-Up Arms",
		use: [2]string{
			"A chair that supports the back through long days at the desk.",
			"An office chair with a curved back and a soft cushion.",
		},
		more: [2]string{
			"Height and tilt are set with levers.",
			"Rolls on wood and on carpet.",
		},
	},
	{
		key: "paper-shredders", path: "Office/Machines", low: 39, high: 229,
		name: "{a} Paper Shredder, {b}",
		a:    "Cross-Cut|Micro-Cut|Quiet|Automatic", b: "6 Sheets|10 Sheets|16 Sheets",
		use: [2]string{
			"Shreds contracts, letters and bank statements into tiny strips.",
			"Cuts private paper into confetti so that secrets stay secret.",
		},
		more: [2]string{
			"Staples and plastic cards are no problem.",
			"The bin pulls out like a drawer.",
		},
	},
	{
		key: "standing-desks", path: "Office/Desks", low: 199, high: 799,
		name: "{a} Standing Desk, {b}",
		a:    "Electric|Bamboo|Oak-Top|Dual-Motor", b: "120 cm|140 cm|160 cm",
		use: [2]string{
			"A desk that rises so that you can stand while you work.",
			"Goes up and down between sitting and standing height.",
		},
		more: [2]string{
			"Four heights are remembered.",
			"A tray hides the cables.",
		},
	},
}

var clothingKinds = []kind{
	{
		key: "raincoats", path: "Clothing/Outerwear", low: 39, high: 179,
		name: "{a} Raincoat for {b}",
		a:    "Hooded|Packable|Breathable|Longline", b: "Men|Women|Juniors",
		use: [2]string{
			"A raincoat that keeps showers and drizzle off.",
			"Keeps you dry on rainy days in town and country.",
		},
		more: [2]string{
			"The seams are taped.",
			"Two deep pockets close with flaps.",
		},
	},
	{
		key: "winter-coats", path: "Clothing/Outerwear", low: 79, high: 349,
		name: "{a} Winter Coat for {b}",
		a:    "Down|Wool|Quilted|Fleece-Lined", b: "Men|Women|Juniors",
		use: [2]string{
			"A winter coat that traps heat on snowy days.",
			"A thick coat for icy winds and long winter walks.",
		},
		more: [2]string{
			"Cuffs inside the sleeves stop draughts.",
			"The collar stands up to the chin.",
		},
	},
	{
		key: "jeans", path: "Clothing/Jeans", low: 29, high: 119,
		name: "{a} Jeans for {b}",
		a:    "Slim-Fit|Straight-Cut|Relaxed|High-Rise", b: "Men|Women|Juniors",
		use: [2]string{
			"Hard-wearing jeans in soft denim for everyday wear.",
			"Denim jeans that go with shirts and jumpers alike.",
		},
		more: [2]string{
			"A little stretch lets you move.",
			"The colour stays dark wash after wash.",
		},
	},
	{
		key: "wool-socks", path: "Clothing/Socks", low: 7, high: 29,
		name: "{a} Wool Socks, {b}",
		a:    "Merino|Cable-Knit|Thermal|Cushioned", b: "1 Pair|2 Pairs|3 Pairs",
		use: [2]string{
			"Warm socks for boots, slippers and cold floors.",
			"Soft wool socks that keep feet warm and dry.",
		},
		more: [2]string{
			"The cuff does not pinch.",
			"Heel and tip are reinforced.",
		},
	},
	{
		key: "pyjamas", path: "Clothing/Nightwear", low: 19, high: 89,
		name: "{a} Pyjamas for {b}",
		a:    "Cotton|Satin|Flannel|Bamboo", b: "Men|Women|Juniors",
		use: [2]string{
			"Loose pyjamas for restful nights and lazy mornings.",
			"Soft pyjamas that are kind to the skin in bed.",
		},
		more: [2]string{
			"The waistband is elastic.",
			"Washed once already, so they do not shrink.",
		},
	},
	{
		key: "suitcases", path: "Travel/Suitcases", low: 49, high: 299,
		name: "{a} Suitcase, {b}",
		a:    "Hard-Shell|Expandable|Lightweight|Four-Wheel", b: "Cabin|Medium|Large",
		use: [2]string{
			"A suitcase that holds a week of clothes and rolls quietly.",
			"Packs neatly and glides through stations and airports.",
		},
		more: [2]string{
			"The lock has three digits.",
			"Two straps inside hold everything flat.",
		},
	},
	{
		key: "umbrellas", path: "Travel/Umbrellas", low: 12, high: 59,
		name: "{a} Umbrella, {b}",
		a:    "Windproof|Automatic|Folding|Reflective", b: "95 cm|105 cm|120 cm",
		use: [2]string{
			"An umbrella that keeps its shape in strong gusts.",
			"Opens at a press and shelters one or two people from rain.",
		},
		more: [2]string{
			"Dries fast and slips into its sleeve.",
			"The handle is coated with soft rubber.",
		},
	},
}
