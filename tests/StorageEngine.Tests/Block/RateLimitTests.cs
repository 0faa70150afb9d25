using Microsoft.Extensions.Time.Testing;
using Nephos.Client.Volumes;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

public sealed class RateLimitTests
{
    private readonly FakeTimeProvider _time = new();

    private RateLimit Limit(IoLimits total = default, IoLimits read = default, IoLimits write = default) => new(new VolumeLimits(total, read, write), _time);

    private static int CountFree(RateLimit limit, IoKind kind, long bytes = 4096)
    {
        for (var count = 0; count < 100_000; count++)
            if (limit.Take(bytes, kind) > TimeSpan.Zero) return count;
        return int.MaxValue;
    }

    [Fact]
    public void Reads_and_writes_are_limited_each_alone()
    {
        var limit = Limit(read: new IoLimits(10, 0), write: new IoLimits(0, 64 << 10));
        Assert.Equal(10, CountFree(limit, IoKind.Read));
        Assert.Equal(16, CountFree(limit, IoKind.Write));
        Assert.Equal(int.MaxValue, CountFree(limit, IoKind.Other));
    }

    [Fact]
    public void A_total_counts_both()
    {
        var limit = Limit(total: new IoLimits(10, 0), read: new IoLimits(100, 0));
        for (var i = 0; i < 5; i++) Assert.Equal(TimeSpan.Zero, limit.Take(1, IoKind.Write));
        Assert.Equal(5, CountFree(limit, IoKind.Read));
        // The one that was too many is paid first.
        Assert.Equal(TimeSpan.FromSeconds(0.2), limit.Take(1, IoKind.Write));
    }

    [Fact]
    public void A_burst_comes_at_once_after_a_rest_and_then_the_rate_holds()
    {
        var limit = Limit(read: new IoLimits(10, 0, IopsBurst: 50));
        Assert.Equal(50, CountFree(limit, IoKind.Read));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(9, CountFree(limit, IoKind.Read));
        _time.Advance(TimeSpan.FromSeconds(60));
        Assert.Equal(50, CountFree(limit, IoKind.Read));
    }

    [Fact]
    public void A_large_request_counts_by_its_parts_and_is_never_split()
    {
        var limit = Limit(total: new IoLimits(100, 0));
        Assert.Equal(TimeSpan.Zero, limit.Take(1600 << 10, IoKind.Read));
        Assert.Equal(TimeSpan.FromSeconds(1), limit.Take(1600 << 10, IoKind.Read));
    }

    [Fact]
    public void A_change_holds_from_the_next_request_on()
    {
        var limit = Limit();
        Assert.Equal(int.MaxValue, CountFree(limit, IoKind.Write));
        limit.Change(new VolumeLimits(default, Write: new IoLimits(3, 0)));
        Assert.Equal(3, CountFree(limit, IoKind.Write));
        // Told the same again it does not fill.
        limit.Change(new VolumeLimits(default, Write: new IoLimits(3, 0)));
        Assert.Equal(0, CountFree(limit, IoKind.Write));
        limit.Change(default);
        Assert.True(limit.IsUnlimited);
        Assert.Equal(int.MaxValue, CountFree(limit, IoKind.Write));
    }
}
