using Microsoft.Extensions.Time.Testing;
using Nephos.ObjectStorage;
using Nephos.ObjectStorage.Objects;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>The arithmetic of rates, on a clock that stands still.</summary>
public sealed class RateLimitsTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    [Theory]
    [InlineData(0, 0)]
    [InlineData(99, 0)]
    [InlineData(100, 50)]
    [InlineData(150, 40)]
    [InlineData(200, 30)]
    [InlineData(1_000_000, 30)]
    public void A_rate_goes_linearly_from_step_to_step(long objects, double rate) => Assert.Equal(
        rate, RateLimits.RateOf([new RateLimitStep { Objects = 100, PerSecond = 50 }, new RateLimitStep { Objects = 200, PerSecond = 30 }], objects));

    [Fact]
    public async Task Requests_come_one_interval_apart_and_a_refused_one_takes_no_turn()
    {
        var limits = Limits(perSecond: 1, waitMaxSeconds: 3);
        var turns = new List<Task<bool>>();
        for (var request = 0; request < 6; request++)
        {
            turns.Add(limits.EnterAsync(RatedOperation.ContainerChange, "a", "box", 0, CancellationToken.None).AsTask());
        }

        Assert.True(await turns[0]);
        // Waits of 1 and 2 seconds; 3 is as long as it may get.
        Assert.All(await Task.WhenAll(turns[3..]), Assert.False);
        Assert.False(turns[1].IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(await turns[1]);
        Assert.False(turns[2].IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(await turns[2]);
        // Another account has turns of its own.
        Assert.True(await limits.EnterAsync(RatedOperation.ContainerChange, "b", "box", 0, CancellationToken.None));
    }

    [Fact]
    public async Task What_was_not_used_within_the_buffer_may_be_made_up_for()
    {
        var limits = Limits(perSecond: 1, waitMaxSeconds: 0.5, bufferSeconds: 5);
        Assert.True(await EnterAsync());
        _time.Advance(TimeSpan.FromSeconds(4));
        // Due one second after the first: three turns were saved up since, and one is due now.
        Assert.Equal(4, await TurnsAsync());
        _time.Advance(TimeSpan.FromSeconds(60));
        Assert.Equal(1, await TurnsAsync());

        async Task<bool> EnterAsync() => await limits.EnterAsync(RatedOperation.ContainerChange, "a", "", 0, CancellationToken.None);

        async Task<int> TurnsAsync()
        {
            var turns = 0;
            while (await EnterAsync())
            {
                turns++;
            }
            return turns;
        }
    }

    private RateLimits Limits(double perSecond, double waitMaxSeconds, double bufferSeconds = 0) => new(
        new ObjectStorageOptions
        {
            RateLimits = new RateLimitOptions { AccountPerSecond = perSecond, WaitMax = TimeSpan.FromSeconds(waitMaxSeconds), Buffer = TimeSpan.FromSeconds(bufferSeconds) },
        },
        _time);
}
