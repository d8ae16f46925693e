using Tessera.Testing;
using Tessera.Text.Corpora;

namespace Tessera.Text.Tests.Corpora;

public sealed class ParallelFilesOptionsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private Corpus Load(string source, string target)
    {
        _folder.Write("a.src", source);
        _folder.Write("a.tgt", target);
        return Load();
    }

    private Corpus Load() => (new ParallelFilesOptions("a.src", "a.tgt") { ValidationFraction = 0, TestFraction = 0 }).Load(_folder.Path);

    [Fact]
    public void Line_n_of_one_file_belongs_to_line_n_of_the_other() =>
        Assert.Equal([new Example("one", "eins", "one"), new Example("two", "zwei", "two")], Load("one\ntwo\n", "eins\nzwei").Train);

    [Fact]
    public void Windows_line_ends_and_a_byte_order_mark_are_no_text() =>
        Assert.Equal([new Example("é", "1", "é"), new Example("b\rc", "2", "b\rc")], Load("\uFEFFé\r\nb\rc\r\n", "1\n2\n").Train);

    [Fact]
    public void Very_long_lines_are_read()
    {
        var line = new string('x', 3_000_000);
        Assert.Equal(line, Load($"a\n{line}\n", "1\n2\n").Train[1].Source);
    }

    [Fact]
    public void A_pair_with_a_blank_side_is_left_out_and_counted()
    {
        var corpus = Load("a\n\nc\n", "1\n2\n \n");
        Assert.Equal([new Example("a", "1", "a")], corpus.Train);
        Assert.Equal(2, corpus.Dropped["empty source or target"]);
    }

    [Fact]
    public void Files_of_different_length_are_refused_by_name_and_count()
    {
        var error = Assert.Throws<InvalidDataException>(() => Load("a\nb\n", "1\n2\n3"));
        Assert.Equal(
            $"parallel files must have equally many lines: {_folder.Path}/a.src has 2, {_folder.Path}/a.tgt has 3",
            error.Message.Replace('\\', '/'));
    }

    [Theory]
    [InlineData(new byte[] { (byte)'a', (byte)'\n', (byte)'b', 0xFF, (byte)'c', (byte)'\n' }, 2, "0xFF", 3)]
    [InlineData(new byte[] { 0xEF, 0xBB, 0xBF, 0xC3, (byte)'\n', (byte)'b' }, 1, "0xC3", 3)]
    [InlineData(new byte[] { (byte)'a', (byte)'\n', (byte)'b', (byte)'\n', (byte)'c', 0xE2, 0x82 }, 3, "0xE2", 5)]
    [InlineData(new byte[] { (byte)'a', (byte)'\n', 0xC3, 0xA9, 0xED, 0xA0, 0x80 }, 2, "0xED", 4)]
    public void A_byte_that_is_not_UTF8_is_named_with_file_line_and_offset(byte[] source, int line, string value, int offset)
    {
        var path = _folder.Write("a.src", source);
        _folder.Write("a.tgt", "1\n2\n");
        var error = Assert.Throws<InvalidDataException>(Load);
        Assert.Equal($"{path}:{line}: byte {value} at offset {offset} of the file is not valid UTF-8", error.Message);
    }

    [Fact]
    public void A_missing_file_is_named_with_its_key()
    {
        _folder.Write("a.src", "a");
        var error = Assert.Throws<FileNotFoundException>(Load);
        Assert.Equal($"data.trainTarget: {Path.Combine(_folder.Path, "a.tgt")} does not exist", error.Message);
        Directory.CreateDirectory(Path.Combine(_folder.Path, "a.tgt"));
        Assert.EndsWith("is a folder, not a file", Assert.Throws<FileNotFoundException>(Load).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Empty_files_are_no_corpus() =>
        Assert.EndsWith(
            "a.src: no examples to train on", Assert.Throws<InvalidDataException>(() => Load("", "")).Message, StringComparison.Ordinal);

    [Fact]
    public void A_split_with_files_is_kept_and_one_without_is_drawn_from_training()
    {
        _folder.Write("a.src", string.Concat(Enumerable.Range(0, 500).Select(i => $"{i % 100}\n")));
        _folder.Write("a.tgt", string.Concat(Enumerable.Range(0, 500).Select(i => $"target {i}\n")));
        _folder.Write("v.src", "v\n");
        _folder.Write("v.tgt", "w\n");
        var corpus = (new ParallelFilesOptions("a.src", "a.tgt", "v.src", "v.tgt") { TestFraction = 0.2 }).Load(_folder.Path);
        Assert.Equal([new Example("v", "w", "v")], corpus.Validation);
        Assert.InRange(corpus.Test.Count, 25, 200);
        Assert.Equal(500, corpus.Train.Count + corpus.Test.Count);
        Assert.Empty(corpus.Train.Select(pair => pair.Source).Intersect(corpus.Test.Select(pair => pair.Source)));
    }

    [Fact]
    public void Reading_can_be_cancelled()
    {
        _folder.Write("a.src", "a\n");
        _folder.Write("a.tgt", "b\n");
        Assert.Throws<OperationCanceledException>(() =>
            new ParallelFilesOptions("a.src", "a.tgt").Load(_folder.Path, new CancellationToken(canceled: true))
        );
    }

    [SharedFact("data/java-cs")]
    public void A_translation_data_set_is_read_whole()
    {
        var options = new ParallelFilesOptions("train.java", "train.cs", "valid.java", "valid.cs") { TestFraction = 0 };
        var corpus = options.Load(Fixture.Shared("data/java-cs")!);
        Assert.Equal((10_295, 499, 0), (corpus.Train.Count, corpus.Validation.Count, corpus.Test.Count));
        Assert.StartsWith("public void RemovePresentationFormat()", corpus.Train[2].Target, StringComparison.Ordinal);
        Assert.StartsWith("public void removePresentationFormat()", corpus.Train[2].Source, StringComparison.Ordinal);
    }
}
