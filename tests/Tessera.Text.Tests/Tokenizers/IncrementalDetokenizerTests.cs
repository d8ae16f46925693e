using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Tessera.Testing;

namespace Tessera.Text.Tokenizers.Tests;

/// <summary>Text given as tokens come, against the text of all tokens at once, for every tokenizer of the fixtures.</summary>
public class IncrementalDetokenizerTests
{
    private const string Shared = "fixtures/tokenizers/deepseek3";

    private static readonly string[] s_files = [
        "gpt2", "roberta", "llama3", "qwen2", "deepseek3", "llama2", "llama2-metaspace", "t5", "unigram-nfkc",
        "bert-uncased", "bert-cased", "added-tokens"];

    private static readonly string[] s_models = ["spm-bpe", "spm-bpe-nfkc", "spm-unigram", "spm-unigram-identity"];

    [SharedFact(Shared)]
    public void The_pieces_join_to_the_texts_of_the_reference()
    {
        foreach (var name in s_files.Concat(s_models))
        {
            var tokenizer = TokenizerFixtures.Load(name);
            foreach (var (_, ids, decoded) in TokenizerFixtures.Cases(name)) Assert.Equal(decoded, string.Concat(Pieces(tokenizer, ids)));
        }
    }

    [SharedFact(Shared)]
    public void After_any_token_what_was_given_and_the_rest_are_the_text_of_all_at_once()
    {
        foreach (var name in s_files)
        {
            using var file = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(TokenizerFixtures.Folder(name), "tokenizer.json")));
            var decoder = file.RootElement.GetProperty("decoder");
            AgreesAfterEveryToken(TokenizerFixtures.Load(name), tokens => WholeTextDecoding.Decode(decoder, tokens));
        }

        var path = Path.Combine(TokenizerFixtures.Folder("tiktoken"), "ranks.tiktoken");
        var ranks = Tokenizer.LoadTiktoken(path, [SplitPreTokenizer.Gpt2Pattern]);
        using var bytes = JsonDocument.Parse("""{ "type": "ByteLevel" }""");
        AgreesAfterEveryToken(ranks, tokens => WholeTextDecoding.Decode(bytes.RootElement, tokens));
        foreach (var name in s_models)
        {
            var options = TokenizerFixtures.Info(name, "options");
            var (adds, drops) = (Flag(options, "add_dummy_prefix"), Flag(options, "remove_extra_whitespaces"));
            AgreesAfterEveryToken(
                TokenizerFixtures.Load(name), tokens => WholeTextDecoding.SentencePiece(tokens, "<unk>", adds || drops, drops));
        }

        static bool Flag(JsonElement options, string name) => !options.TryGetProperty(name, out var flag) || flag.GetBoolean();
    }

    [SharedFact(Shared)]
    public void Rolled_back_and_forked_texts_go_on_as_if_nothing_had_been()
    {
        foreach (var name in s_files.Concat(s_models))
        {
            var tokenizer = TokenizerFixtures.Load(name);
            // A step is a token to add, or so many to take back.
            var steps = Gen.Frequency((16, Ids(tokenizer)), (1, Gen.Choose(-150, -1))).ArrayOf(600);
            Prop.ForAll(steps.ToArbitrary(), steps =>
            {
                var (text, shown, ids) = (new IncrementalDetokenizer(tokenizer), "", new List<int>());
                foreach (var step in steps)
                {
                    if (step % 7 == 0) text = text.Fork();
                    if (step >= 0)
                    {
                        ids.Add(step);
                        shown += text.Add(step);
                        continue;
                    }

                    if (step % 3 == 0) shown += text.Finish();
                    var back = Math.Min(-step / (1 + (-step % 5)), ids.Count);
                    ids.RemoveRange(ids.Count - back, back);
                    shown = shown[..^text.Rollback(back)];
                    Assert.Equal((ids.Count, shown.Length), (text.Tokens, text.Length));
                    Assert.Equal(string.Concat(Pieces(tokenizer, [.. ids])[..^1]), shown);
                }

                return shown + text.Finish() == tokenizer.Decode([.. ids]);
            }).Check(Config.QuickThrowOnFailure.WithMaxTest(15));
        }
    }

    /// <summary>Decoders that no fixture has, alone and one after the other, on texts that are made for them.</summary>
    [Fact]
    public void Every_decoder_settles_text_only_when_no_token_can_change_it()
    {
        string[] kinds =
        [
            """{ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }""",
            """{ "type": "Replace", "pattern": { "Regex": "a+" }, "content": "▁b" }""",
            """{ "type": "ByteFallback" }""", """{ "type": "Fuse" }""", """{ "type": "Strip", "content": " ", "start": 1, "stop": 0 }""",
            """{ "type": "Strip", "content": "ab", "start": 2, "stop": 1 }""",
            """{ "type": "Strip", "content": "a", "start": 0, "stop": 2 }""",
            """{ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true }""",
            """{ "type": "BPEDecoder", "suffix": "</w>" }""",
            """{ "type": "WordPiece", "prefix": "##", "cleanup": true }""", """{ "type": "ByteLevel" }""",
            """{ "type": "Sequence", "decoders": [] }""",
        ];
        string[] texts =
        [
            "a", "b", "ab", "aab", "aba", " ", "  ", "▁", "▁a", "##a", " do not", ".", "'s", "n't", "</w>", "a</w>", "",
            "Ġ", "â", "ĺ", "ĥ", "<0xE2>", "<0x98>", "<0x83>", "<0x41>", "<0xF0>",
        ];
        Prop.ForAll(UpTo(4, kinds), UpTo(25, texts), (parts, tokens) =>
        {
            using var json = JsonDocument.Parse($$"""{ "type": "Sequence", "decoders": [{{string.Join(',', parts)}}] }""");
            var (step, given) = (Decoder.Read(new JsonPart("test", json.RootElement)).Begin(), new List<string>());
            for (var count = 0; count <= tokens.Length; count++)
            {
                if (count > 0) step.Add(tokens[count - 1], given);
                var all = given.ToList();
                step.Fork().Finish(all);
                Assert.Equal(WholeTextDecoding.Decode(json.RootElement, tokens.Take(count)), string.Concat(all));
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

        static Arbitrary<string[]> UpTo(int count, string[] of) =>
            Gen.Choose(0, count).SelectMany(length => Gen.Elements(of).ArrayOf(length)).ToArbitrary();
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama2")]
    [InlineData("spm-unigram")]
    [InlineData("bert-uncased")]
    public void A_token_costs_as_much_after_many_as_after_few(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        int[] ids = [.. TokenizerFixtures.Cases(name).SelectMany(row => row.Ids)];
        var text = new IncrementalDetokenizer(tokenizer);
        var length = 0;
        Read(50); // runs once before it is measured
        var early = Allocated(50);
        for (var round = 0; round < 10; round++) Read(ids.Length);
        Assert.InRange(Allocated(50), 0, early + 4096); // the list of ids may have grown
        Assert.Equal(length, text.Length);

        long Allocated(int tokens)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            Read(tokens);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        void Read(int tokens)
        {
            for (var i = 0; i < tokens; i++) length += text.Add(ids[i]).Length;
        }
    }

    [Fact]
    public void A_character_comes_with_its_last_byte()
    {
        var (tokenizer, bytewise) = (TokenizerFixtures.Load("llama2"), TokenizerFixtures.Load("spm-bpe"));
        Assert.Equal(["", "a", "", "", "猫", "b", "c", ""], Given(tokenizer, "▁", "a", "<0xE7>", "<0x8C>", "<0xAB>", "b", "c"));
        Assert.Equal(["a", "", "", "猫", "\uFFFD", ""], Given(bytewise, "a", "<0xE7>", "<0x8C>", "<0xAB>", "<0xAB>"));

        static string[] Given(Tokenizer tokenizer, params string[] tokens) =>
            Pieces(tokenizer, [.. tokens.Select(token => tokenizer.Find(token)!.Value)]);
    }

    [Fact]
    public void What_cannot_be_done_is_told()
    {
        var text = new IncrementalDetokenizer(TokenizerFixtures.Load("gpt2"));
        text.Add(40);
        AssertTold<ArgumentOutOfRangeException>("2 tokens cannot be taken back; allowed: 0 to 1", () => text.Rollback(2));
        Assert.Throws<ArgumentOutOfRangeException>(() => text.Rollback(-1));
        text.Finish();
        Assert.Equal("", text.Finish());
        AssertTold<InvalidOperationException>("the text is finished", () => text.Add(40));
        text.Rollback(0);
        Assert.NotEqual("", text.Add(40));
    }

    private static void AssertTold<TException>(string expected, Action action) where TException : Exception =>
        Assert.Contains(expected, Assert.Throws<TException>(action).Message, StringComparison.Ordinal);

    private static void AgreesAfterEveryToken(Tokenizer tokenizer, Func<IEnumerable<string>, string> decode) =>
        Prop.ForAll(Ids(tokenizer).ArrayOf().ToArbitrary(), ids =>
        {
            var (text, shown) = (new IncrementalDetokenizer(tokenizer), "");
            for (var count = 0; count <= ids.Length; count++)
            {
                if (count > 0) shown += text.Add(ids[count - 1]);
                var expected = decode(ids.Take(count).Select(tokenizer.DecodedToken).OfType<string>());
                Assert.Equal(expected, shown + text.Fork().Finish());
                Assert.Equal(expected, tokenizer.Decode(ids.AsSpan(0, count)));
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(60));

    /// <summary>Any id, those of no token too; half of them single letters or bytes, which make and spoil characters.</summary>
    private static Gen<int> Ids(Tokenizer tokenizer)
    {
        int[] small = [.. Enumerable.Range(0, tokenizer.VocabularySize)
            .Where(id => tokenizer.DecodedToken(id) is { Length: 1 } or ['<', '0', 'x', ..])];
        return Gen.Frequency((1, Gen.Choose(0, tokenizer.VocabularySize)), (1, Gen.Elements(small)));
    }

    private static string[] Pieces(Tokenizer tokenizer, int[] ids)
    {
        var text = new IncrementalDetokenizer(tokenizer);
        return [.. ids.Select(text.Add), text.Finish()];
    }
}
