// the topics of an item in words
const describe = (top) => top.map(
  ([k, share]) => `topic ${k} (${share}%): ` + words.map((w) => w[k]).join(' / ')
).join('; ');
