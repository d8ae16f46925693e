namespace Tessera.Text.Tokenizers.Tests;

/// <summary>Files from strangers: whatever they hold, they are read or refused.</summary>
public class DamagedTokenizerTests
{
    [Theory]
    [InlineData("llama2", "tokenizer.json")]
    [InlineData("bert-uncased", "tokenizer.json")]
    [InlineData("spm-bpe", "tokenizer.model")]
    [InlineData("spm-unigram-identity", "tokenizer.model")]
    public void A_file_changed_anywhere_is_read_or_refused_but_nothing_else(string name, string file)
    {
        const int Files = 500;
        using var folder = new TemporaryFolder();
        var whole = File.ReadAllBytes(Path.Combine(TokenizerFixtures.Folder(name), file));
        var path = folder.File(file);
        var random = new Random(7);
        var read = 0;
        for (var i = 0; i < Files; i++)
        {
            var bytes = (byte[])whole.Clone();
            for (var change = random.Next(4); change >= 0; change--) Change(bytes, random);
            File.WriteAllBytes(path, i % 5 == 0 ? bytes[..random.Next(bytes.Length)] : bytes);
            try
            {
                var tokenizer = Tokenizer.Load(path);
                tokenizer.Decode(tokenizer.EncodeSequence("Hello  wörld <s> 你好 ▁ 😀\n"));
                read++;
            }
            catch (InvalidDataException error)
            {
                Assert.StartsWith(path, error.Message, StringComparison.Ordinal);
            }
        }

        Assert.InRange(read, 1, Files - 1);
    }

    [Fact]
    public void Numbers_in_a_file_make_nothing_larger_than_the_file()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("tokenizer.model");
        // A piece that claims two billion bytes, and one message that claims to be longer than can be.
        byte[][] claims = [[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x07], [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], [0xFF]];
        foreach (var claim in claims)
        {
            File.WriteAllBytes(path, claim);
            var before = GC.GetAllocatedBytesForCurrentThread();
            Assert.Throws<InvalidDataException>(() => Tokenizer.Load(path));
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        }
    }

    [Theory]
    [InlineData("type 2", 0x18, 1)]
    [InlineData("of type 9", 0x18, 9)]
    public void A_model_of_pieces_that_cannot_be_is_refused(string message, byte key, byte kind)
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("a.model");
        byte[] piece = [0x0A, 5, 0x0A, 1, (byte)'a', key, kind];
        File.WriteAllBytes(path, piece);
        var error = Assert.Throws<InvalidDataException>(() => Tokenizer.Load(path));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        File.WriteAllBytes(path, [.. (byte[])[0x0A, 5, 0x0A, 1, (byte)'a', 0x18, 2], .. (byte[])[0x0A, 5, 0x0A, 1, (byte)'a', 0x18, 1]]);
        error = Assert.Throws<InvalidDataException>(() => Tokenizer.Load(path));
        Assert.Contains("'a' twice", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_vocabulary_of_GGUF_that_contradicts_itself_is_refused()
    {
        string[] tokens = ["<unk>", "a", "b", "ab"];
        var good = new GgmlVocabulary("gpt2", tokens) { Merges = ["a b"] };
        Assert.Equal([3], good.ToTokenizer("here").Encode("ab"));
        (GgmlVocabulary Bad, string Message)[] all =
        [
            (good with { Model = "bert" }, "tokenizer.ggml.model' is bert"),
            (good with { PreTokenizer = "none" }, "tokenizer.ggml.pre' is none"),
            (good with { Merges = ["a c"] }, "'c' is none"),
            (good with { Merges = ["ab"] }, "merges[0]"),
            (good with { Merges = null }, "tokenizer.ggml.merges' is missing; allowed: an array of pairs"),
            (good with { TokenTypes = [1] }, "as long as tokens, 4"),
            (good with { TokenTypes = [1, 1, 1, 7] }, "1 to 6"),
            (good with { BeginId = 4 }, "bos_token_id' is 4"),
            (good with { Model = "llama" }, "scores"),
            (good with { Model = "llama", Scores = [0, 1, 2, 3] }, "<0x00>"),
            (new GgmlVocabulary("gpt2", ["a", "a"]), "'a' twice"),
        ];
        foreach (var (bad, message) in all)
        {
            var error = Assert.Throws<InvalidDataException>(() => bad.ToTokenizer("here"));
            Assert.StartsWith("here", error.Message, StringComparison.Ordinal);
            Assert.Contains(message, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Every_pre_tokenizer_that_GGUF_names_can_be_read_and_loses_nothing()
    {
        const string Text = "Hello World's 12345 + ὼδή, 你好。\r\n  Ünïcode\t한국 x  ";
        string[] tokens = [.. ByteAlphabet.Characters.ToArray().Select(character => character.ToString())];
        foreach (var name in GgmlPatterns.Names.Split(", "))
        {
            var tokenizer = new GgmlVocabulary("gpt2", tokens) { PreTokenizer = name, Merges = [] }.ToTokenizer(name);
            Assert.Equal(Text, tokenizer.Decode(tokenizer.Encode(Text)));
        }

        var pieces = new List<Piece>();
        PreTokenizerSequence.OnBytes(GgmlPatterns.Of("deepseek-llm")!).Cut(Text, 0, pieces);
        // Later patterns cut what the second took together: the third's range :-~ holds the letters of ASCII, the fifth's
        // the Greek letters with accents.
        Assert.Equal(
            "Hello| World|'|s| |12345| +| |ὼ|δή|,| |你好|。|\r|\n| | Ü|n|ï|code|\t|한국| x|  ",
            string.Join('|', pieces.Select(piece => Text.Substring(piece.Start, piece.Length))));
    }

    private static void Change(byte[] bytes, Random random)
    {
        var at = random.Next(bytes.Length);
        switch (random.Next(4))
        {
            case 0:
                bytes[at] = (byte)random.Next(256);
                break;
            case 1:
                bytes[at] ^= (byte)(1 << random.Next(8));
                break;
            case 2:
                bytes[at] = (byte)"{}[],:\"\\0123456789-ntf"[random.Next(22)];
                break;
            default:
                var length = random.Next(Math.Min(40, bytes.Length - at));
                var from = random.Next(bytes.Length - length);
                bytes.AsSpan(from, length).ToArray().CopyTo(bytes.AsSpan(at));
                break;
        }
    }
}
