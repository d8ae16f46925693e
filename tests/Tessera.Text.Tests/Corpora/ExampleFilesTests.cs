using FsCheck;
using FsCheck.Fluent;
using Tessera.Text.Corpora;

namespace Tessera.Text.Tests.Corpora;

public sealed class ExampleFilesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private Corpus ReadBack(string? text = null) =>
        new JsonLinesOptions("train.jsonl", "validation.jsonl", "test.jsonl", Text: text).Load(_folder.Path);

    [Fact]
    public void Pairs_read_back_as_they_were_written()
    {
        Example[] pairs = [new("a \"quoted\" <T>\n\ttext", "b\\\u0000\u2028é😀", "g"), new("c", "d", "h")];
        ExampleFiles.Write(new Corpus(pairs, [pairs[1]], []), _folder.Path);
        var corpus = ReadBack();
        Assert.Equal(pairs, corpus.Train);
        Assert.Equal([pairs[1]], corpus.Validation);
        Assert.Empty(corpus.Test);
        Assert.Equal(["test.jsonl", "train.jsonl", "validation.jsonl"], Directory.GetFiles(_folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void Plain_texts_of_any_characters_read_back_as_they_were_written() => Prop.ForAll(
                ArbMap
                    .Default.ArbFor<UnicodeString>()
                    .Filter(text =>
                        !string.IsNullOrWhiteSpace(text.Get) && !text.Get.EnumerateRunes().Contains(System.Text.Rune.ReplacementChar)
                    ),
                text =>
                {
                    Example[] documents = [new Example(null, text.Get, "file.txt")];
                    ExampleFiles.Write(new Corpus(documents, documents, documents), _folder.Path);
                    return documents.SequenceEqual(ReadBack(text: "text").Test);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_line_is_a_readable_JSON_object()
    {
        ExampleFiles.Write(new Corpus([new Example("List<T> & é", "x", "g")], [], []), Path.Combine(_folder.Path, "new", "folder"));
        Assert.Equal(
            "{\"source\":\"List<T> & é\",\"target\":\"x\",\"group\":\"g\"}\n",
            File.ReadAllText(Path.Combine(_folder.Path, "new", "folder", "train.jsonl")));
    }

    [Fact]
    public void A_write_that_fails_leaves_the_old_files_and_no_others()
    {
        ExampleFiles.Write(new Corpus([new Example("old", "old", "old")], [], []), _folder.Path);
        var failing = new Corpus([new Example("new", "new", "new")], [], [new Example("new", null!, "new"), null!]);
        Assert.ThrowsAny<Exception>(() => ExampleFiles.Write(failing, _folder.Path));
        Assert.Equal("old", ReadBack().Train.Single().Source);
        Assert.Equal(3, Directory.GetFiles(_folder.Path).Length);
    }
}
