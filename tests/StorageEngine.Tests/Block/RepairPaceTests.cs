using Nephos.Client.Volumes;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

public sealed class RepairPaceTests
{
    [Fact]
    public void Repair_rests_three_times_as_long_as_it_worked_while_the_guest_asks_for_something()
    {
        var requests = 0L;
        var pace = new RepairPace(() => requests);
        Assert.Equal(TimeSpan.Zero, pace.RestAfter(TimeSpan.FromMilliseconds(10)));
        requests = 5;
        Assert.Equal(TimeSpan.FromMilliseconds(30), pace.RestAfter(TimeSpan.FromMilliseconds(10)));
        Assert.Equal(TimeSpan.Zero, pace.RestAfter(TimeSpan.FromMilliseconds(10)));
        requests = 6;
        Assert.Equal(TimeSpan.FromMilliseconds(200), pace.RestAfter(TimeSpan.FromSeconds(10)));
    }
}
