// One visit to the small shop that clients/shop makes: rank offers, say what the customer did with them, show what goes with the cart.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"flag"
	"fmt"
	"log"
	"strings"
	"time"

	offerd "offerd.example/clients/go"
	v1 "offerd.example/clients/go/generated/offerdv1"
)

type item struct {
	id          string
	priceMicros int64
}

// What the shop knows of its offers: the item behind each, and its price.
var items = map[string]item{
	"offer-tea":    {"tea", 3_500_000},
	"offer-coffee": {"coffee", 6_200_000},
	"offer-honey":  {"honey", 4_800_000},
	"offer-bread":  {"bread", 2_900_000},
	"offer-soap":   {"soap", 1_700_000},
}

// A shop has order numbers and click ids of its own; whatever it takes, a repeat of the same event must carry the same id.
func newID() string {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		log.Fatal(err)
	}
	return hex.EncodeToString(id[:])
}

func main() {
	log.SetFlags(0)
	server := flag.String("server", "127.0.0.1:7070", "host:port")
	customer := flag.String("customer", "anna", "who visits")
	flag.Parse()
	ctx := context.Background()
	client, err := offerd.Connect(offerd.Options{Server: *server})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	// 1. Which offers should this customer see?
	answer, err := client.RankOffers(ctx, &v1.RankOffersRequest{Placement: "home", CustomerId: *customer})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("decision %s by policy %s\n", answer.DecisionId, answer.Policy)
	for i, slot := range answer.Slots {
		fmt.Printf("  %d. %s  probability %.4f  score %.4f  %s\n", i+1, slot.OfferId, slot.Probability, slot.Score, slot.Reason)
	}

	// 2. The customer looks at the first offer, puts it into the cart and buys it. Each event names the decision, so that it learns.
	offer := answer.Slots[0].OfferId
	bought := items[offer]
	stream := client.FeedbackStream(nil)
	for _, kind := range []v1.EventKind{v1.EventKind_VIEW, v1.EventKind_ADD_TO_CART, v1.EventKind_PURCHASE} {
		event := &v1.Event{
			EventId:    newID(),
			Kind:       kind,
			CustomerId: *customer,
			DecisionId: answer.DecisionId,
			OfferId:    offer,
			Lines:      []*v1.EventLine{{ItemId: bought.id, Quantity: 1, RevenueMicros: bought.priceMicros}},
		}
		if kind == v1.EventKind_PURCHASE {
			event.OrderId = newID()
		}
		if _, err := stream.Send(event); err != nil {
			log.Fatal(err)
		}
	}
	if err := stream.Close(10 * time.Second); err != nil { // waits for the acknowledgements: now the events are on the server's disk
		log.Fatal(err)
	}
	counts := stream.Counts()
	fmt.Printf("feedback: 3 events sent, %d acknowledged, %d applied\n", counts.Acknowledged, counts.Applied)

	// 3. What goes with the cart?
	list, err := client.CrossSell(ctx, &v1.CrossSellRequest{
		Placement:  "cart",
		CustomerId: *customer,
		Cart:       []*v1.CartLine{{ItemId: bought.id, Quantity: 1}},
	})
	if err != nil {
		log.Fatal(err)
	}
	var names []string
	for _, entry := range list.Entries {
		names = append(names, entry.ItemId)
	}
	fmt.Printf("goes with %s: %s\n", bought.id, strings.Join(names, ", "))
}
