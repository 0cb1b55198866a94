// the topics of an item in words
const describe = (top) => top.map(
  ([k, share]) => `${names[k]} (${share}%): ` + words.map((w) => w[k]).join(' / ')
).join('; ');
