// The cases of tests/clients/run.py, with the same command line in every language: --name value pairs, one JSON line as the answer.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	offerd "offerd.example/clients/go"
	v1 "offerd.example/clients/go/generated/offerdv1"
)

type given map[string]string

func (g given) text(name, otherwise string) string {
	if value, ok := g[name]; ok {
		return value
	}
	return otherwise
}

func (g given) number(name string, otherwise float64) float64 {
	value, ok := g[name]
	if !ok {
		return otherwise
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		log.Fatalf("--%s: %v", name, err)
	}
	return number
}

func (g given) seconds(name string, otherwise float64) time.Duration {
	return time.Duration(g.number(name, otherwise) * float64(time.Second))
}

func rank(client *offerd.Client, g given, result map[string]any) error {
	request := &v1.RankOffersRequest{
		RequestId:  g.text("request-id", ""),
		Placement:  g.text("placement", "home"),
		CustomerId: g.text("customer", "anna"),
		SlateSize:  int32(g.number("slots", 0)),
	}
	if offers := g.text("compact", ""); offers != "" {
		for _, id := range strings.Split(offers, ",") {
			request.OfferKeys = append(request.OfferKeys, offerd.OfferKey(id))
		}
	}
	var ids []string
	for i := 0; i < int(g.number("times", 1)); i++ {
		answer, err := client.RankOffers(context.Background(), request)
		if err != nil {
			return err
		}
		ids = append(ids, answer.DecisionId)
		if len(request.OfferKeys) > 0 {
			result["keys"] = request.OfferKeys
			result["packed"] = append([]uint32{}, answer.GetPacked().GetIndex()...)
			result["unknown"] = append([]uint32{}, answer.GetUnknownKeys()...)
		}
	}
	result["decision_ids"] = ids
	return nil
}

func lists(client *offerd.Client, g given, result map[string]any) error {
	ctx, placement := context.Background(), g.text("placement", "cart")
	calls := map[string]func() (*v1.ItemList, error){
		"cross_sell": func() (*v1.ItemList, error) {
			return client.CrossSell(ctx, &v1.CrossSellRequest{Placement: placement, CustomerId: "anna", Cart: []*v1.CartLine{{ItemId: "tea"}}})
		},
		"similar_items": func() (*v1.ItemList, error) {
			return client.SimilarItems(ctx, &v1.SimilarItemsRequest{Placement: placement, CustomerId: "anna", ItemId: "tea"})
		},
		"recommend_items": func() (*v1.ItemList, error) {
			return client.RecommendItems(ctx, &v1.RecommendItemsRequest{Placement: placement, CustomerId: "anna"})
		},
		"recommend_next": func() (*v1.ItemList, error) {
			return client.RecommendNext(ctx, &v1.RecommendNextRequest{Placement: placement, CustomerId: "anna", SessionItemIds: []string{"tea"}})
		},
	}
	for name, call := range calls {
		list, err := call()
		if err != nil {
			return err
		}
		result[name] = len(list.Entries)
	}
	return nil
}

func sendEvents(client *offerd.Client, g given, result map[string]any) error {
	stream := client.FeedbackStream(nil)
	sent := 0
	var err error
	for ; sent < int(g.number("events", 0)) && err == nil; sent++ {
		_, err = stream.Send(&v1.Event{
			EventId:    fmt.Sprintf("%s-%d", g["prefix"], sent),
			Kind:       v1.EventKind_VIEW,
			CustomerId: g["prefix"],
			Lines:      []*v1.EventLine{{ItemId: "tea"}},
		})
		if err != nil {
			break
		}
		time.Sleep(time.Duration(g.number("pause-ms", 0) * float64(time.Millisecond)))
	}
	if err == nil {
		err = stream.Close(g.seconds("flush-seconds", 60))
	}
	counts := stream.Counts()
	result["sent"] = sent
	result["acknowledged"] = counts.Acknowledged
	result["applied"] = counts.Applied
	result["duplicate"] = counts.Duplicate
	result["other"] = counts.Other
	result["reconnects"] = counts.Reconnects
	result["unacknowledged"] = len(stream.Unacknowledged())
	return err
}

func run(g given, result map[string]any) error {
	options := offerd.Options{
		Server:            g["server"],
		TLSCA:             g["tls-ca"],
		TLSCert:           g["tls-cert"],
		TLSKey:            g["tls-key"],
		Timeout:           g.seconds("timeout", 10),
		MaxUnacknowledged: int(g.number("max-unacknowledged", 1000)),
		AckTimeout:        g.seconds("ack-timeout", 10),
	}
	if path, ok := g["token-file"]; ok {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		line, _ := bufio.NewReader(file).ReadString('\n')
		options.Token = strings.TrimSpace(line)
	}
	client, err := offerd.Connect(options)
	if err != nil {
		return err
	}
	defer client.Close()
	cases := map[string]func(*offerd.Client, given, map[string]any) error{"rank": rank, "lists": lists, "feedback": sendEvents}
	return cases[g["case"]](client, g, result)
}

func main() {
	g := given{}
	for i := 1; i+1 < len(os.Args); i += 2 {
		g[strings.TrimPrefix(os.Args[i], "--")] = os.Args[i+1]
	}
	result := map[string]any{}
	begin := time.Now()
	err := run(g, result)
	result["ok"] = err == nil
	result["seconds"] = time.Since(begin).Seconds()
	var e *offerd.Error
	if errors.As(err, &e) {
		result["code"] = e.CodeName()
		if e.IsBufferFull {
			result["code"] = "BUFFER_FULL"
		}
		result["message"] = e.Error()
		result["attempts"] = e.Attempts
		fields := []string{}
		for _, violation := range e.Violations {
			fields = append(fields, violation.Field)
		}
		result["fields"] = fields
	} else if err != nil {
		log.Fatal(err)
	}
	line, err := json.Marshal(result)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
}
