namespace Tessera.Tensors.Tests;

public class TokenPaddingTests
{
    [Fact]
    public void Tokens_beyond_the_length_of_their_row_are_padding()
    {
        using var scope = Arena.Current.Scope();
        var padding = TokenPadding.After(Tensor.From([2, 0, 3], [3]), 3);
        Assert.False(padding.IsNone);
        Assert.Equal(
            [false, false, true, true, true, true, false, false, false],
            Enumerable.Range(0, padding.Tokens).Select(token => padding[token]));
    }

    [Fact]
    public void Tokens_of_no_segment_are_padding()
    {
        using var scope = Arena.Current.Scope();
        var padding = TokenPadding.Between(Tensor.From([0, 0, -1, 4, -1, -1], [2, 3]));
        Assert.Equal([false, false, true, false, true, true], Enumerable.Range(0, padding.Tokens).Select(token => padding[token]));
    }

    [Fact]
    public void Nothing_is_padding_unless_said()
    {
        Assert.True(default(TokenPadding).IsNone);
        Assert.False(default(TokenPadding)[5]);
    }

    [Fact]
    public void Tensors_that_are_neither_lengths_nor_segments_are_refused()
    {
        using var scope = Arena.Current.Scope();
        Assert.Throws<ShapeException>(() => TokenPadding.After(Tensor.Temporary([3]), 3));
        Assert.Throws<ShapeException>(() => TokenPadding.After(Tensor.From([1, 2], [1, 2]), 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => TokenPadding.After(Tensor.From([1], [1]), -1));
        Assert.Throws<ShapeException>(() => TokenPadding.Between(Tensor.From([1, 2], [2])));
    }
}
